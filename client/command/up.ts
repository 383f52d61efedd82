// caisson up: the whole service on this machine, in the foreground.

import { totalmem } from 'node:os'
import { type Command, Option } from 'commander'
import { defaultAddress } from '../sdk/address.js'
import { Log } from '../up/log.js'
import { addPassedOn, passedOn } from '../up/passedOn.js'
import { Service } from '../up/service.js'
import { Stops } from '../up/stops.js'
import { tolerateBrokenPipes } from './output.js'
import { parseSize } from './quantity.js'

interface UpFlags extends Record<string, unknown> {
  name: string
  state: string
  images: string[]
  listen: string
  redis?: string
  redisCa?: string
  guest?: string
  redisMemory?: number
  tlsCert?: string
  tlsKey?: string
  tokenFile?: string
  sealKeyFile?: string
  registryConfig?: string
  registryCa?: string
  json?: boolean
}

export function addUp(program: Command): void {
  const command = program
    .command('up')
    .description('run the whole service here: control, worker, launcher and a Redis of its own (as root)')
  command
    .option('--name <name>', 'of this service, among others on this host', 'default')
    .option('--state <folder>', 'what must last: layers and Redis', '/var/lib/caisson')
    .option('--images <folder...>', 'folders that image references may lead into', [] as string[])
    .option('--listen <host:port>', 'loopback, or with TLS and a token', defaultAddress)
    .option('--guest <folder>', 'kernel and VMM of microVMs (default: where scripts/setup puts them)')
    .addOption(new Option('--redis <url>', 'use this Redis instead of one of its own').env('CAISSON_REDIS'))
    .option('--redis-ca <file>', 'certificates (PEM) of those who alone may have signed that of rediss://')
    .option('--redis-memory <size>', 'maxmemory of its own Redis (default: a quarter of the machine)', parseSize)
    .option('--tls-cert <file>', 'PEM of the certificate')
    .option('--tls-key <file>', 'PEM of its key')
    .option('--token-file <file>', 'the token that clients must show')
    .option('--seal-key-file <file>', 'seals registry credentials of runs (default: one of its own, kept in the state folder)')
    .option('--registry-config <file>', 'credentials for registries, as docker login writes them')
    .option('--registry-ca <file>', 'certificates (PEM) that registries may have besides those of the public authorities')
    .option('--json', 'logs and the line of readiness as JSON, also on a terminal')
  addPassedOn(command)
  command.action(async (flags: UpFlags) => {
    process.exitCode = await up(flags)
  })
}

async function up(flags: UpFlags): Promise<number> {
  if (process.getuid?.() !== 0) {
    throw new Error(
      'up must be root: sandboxes are made of namespaces, cgroups and mounts (all but the launcher step down at once)',
    )
  }
  tolerateBrokenPipes()
  const log = new Log(process.stderr, flags.json || !process.stderr.isTTY ? 'json' : 'people')
  const stops = new Stops()
  const options = { ...flags, redisMemoryBytes: flags.redisMemory ?? Math.floor(totalmem() / 4), ...passedOn(flags) }
  const service = await Service.start(options, log, stops.first).catch((error) => {
    if (!stops.first.aborted) throw error
  })
  // Asked to stop before it was ready.
  if (!service) return 0
  tellReady(flags, service)
  await stops.asked
  await service.stop(stops.second)
  return 0
}

function tellReady({ name, state, listen, json }: UpFlags, { redisPromise }: Service): void {
  const line = json
    ? JSON.stringify({ ready: true, address: listen, name, state, redis: redisPromise })
    : `caisson is ready at ${listen} (name ${name}, state ${state}; ${redisPromise})`
  process.stdout.write(`${line}\n`)
}
