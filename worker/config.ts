// Flags, validated once.
import { randomBytes } from 'node:crypto'
import { readFileSync, statfsSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, isAbsolute } from 'node:path'
import { parseArgs } from 'node:util'
import { Seal } from '../proto/seal.js'
import { RedisCaError, readRedisCa } from '../redis/authority.js'
import { defaultLayerLimits, type LayerLimits } from './image/layers/limits.js'
import { RegistryFlagError, type RegistryOptions, registryOptions } from './image/registry/options.js'

export interface Config {
  /** Of the registry credentials that come with runs. */
  seal: Seal | undefined
  registries: RegistryOptions
  redis: string
  /** PEM of who signed the certificate of Redis; undefined: the public authorities. */
  redisCa: string | undefined
  name: string
  state: string
  images: string[]
  storeBytes: number
  layerLimits: LayerLimits
  workerId: string
  cpuMillis: number
  memoryBytes: number
  machineMemoryBytes: number
  maxRuns: number
  pool: number
  drainMs: number
  allowEmulation: boolean
  debug: boolean
}

/** A flag is missing or wrong. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export const usage = `usage: node dist/worker/main.js --redis ADDRESS [flags]
  --redis ADDRESS      redis://…, rediss://… or the absolute path of a unix socket (CAISSON_REDIS of the environment)
  --redis-ca FILE      certificates (PEM) of those who alone may have signed that of rediss://
  --name NAME          the instance whose launcher this worker asks (default)
  --state DIR          its state folder (/var/lib/caisson)
  --images DIR         a folder that images may come from; repeatable
  --store-bytes N      what prepared layers may take of the disk; the longest unused give way (half of the file system of STATE)
  --layer-bytes N      what one layer may have uncompressed (8589934592)
  --layer-entries N    files, folders and links that one layer may have (1000000)
  --cpu-millis N       thousandths of a core to give away (twice what the host has)
  --memory-bytes N     memory to give away (four fifths of what the host has)
  --machine-memory-bytes N   beside that: for templates of microVMs, and those that wait ready (a tenth of what the host has)
  --max-runs N         runs at the same time (256)
  --pool N             sandboxes that wait ready, at most (8)
  --drain-ms N         what SIGTERM leaves to running programs (30000)
  --allow-emulation    where no microVM boots under KVM, offer emulated ones to runs that require one: no security boundary
  --debug              keep what the guests of microVMs say on their consoles, in STATE/consoles
  --worker-id ID       (random)
  --seal-key-file FILE the key (64 hexadecimal digits) by which control seals registry credentials of runs
  --registry-config FILE           the operator's credentials, as docker login writes them
  --registry-ca FILE               certificates (PEM) that registries may have besides those of the public authorities
  --registry-mirror HOST=URL       is asked before HOST; repeatable, as are the following
  --registry-plain-http HOST[:PORT] speaks no TLS
  --registry-allow HOST[:PORT]     may have a private address
  --registry-realm HOST=HOST       a token service that credentials of the first host may be shown to`

const options = {
  redis: { type: 'string' },
  'redis-ca': { type: 'string' },
  name: { type: 'string', default: 'default' },
  state: { type: 'string', default: '/var/lib/caisson' },
  images: { type: 'string', multiple: true },
  'store-bytes': { type: 'string' },
  'layer-bytes': { type: 'string' },
  'layer-entries': { type: 'string' },
  'cpu-millis': { type: 'string' },
  'memory-bytes': { type: 'string' },
  'machine-memory-bytes': { type: 'string' },
  'max-runs': { type: 'string', default: '256' },
  pool: { type: 'string', default: '8' },
  'drain-ms': { type: 'string', default: '30000' },
  'allow-emulation': { type: 'boolean', default: false },
  debug: { type: 'boolean', default: false },
  'worker-id': { type: 'string' },
  'seal-key-file': { type: 'string' },
  'registry-config': { type: 'string' },
  'registry-ca': { type: 'string' },
  'registry-mirror': { type: 'string', multiple: true },
  'registry-plain-http': { type: 'string', multiple: true },
  'registry-allow': { type: 'string', multiple: true },
  'registry-realm': { type: 'string', multiple: true },
  help: { type: 'boolean' },
} as const

/** Programs wait more than they compute: twice the cores are promised, and each gets its rate unless all want it at once. */
const cpuOvercommit = 2
/** The rest is for the kernel, Redis, this worker, and the page cache that all runs share. */
const memoryShare = 0.8
/** The rest is for runs' own disks, Redis, and whatever else is there. */
const diskShare = 0.5
const machineMemoryShare = 0.1

/** Undefined: help was asked for. */
export function parseConfig(args: string[], environment: NodeJS.ProcessEnv = process.env): Config | undefined {
  const flags = parse(args)
  if (flags.help) return undefined
  const state = absolute('--state', flags.state)
  const redis = flags.redis ?? environment['CAISSON_REDIS'] ?? missing('--redis')
  return {
    seal: flags['seal-key-file'] === undefined ? undefined : readSeal(flags['seal-key-file']),
    registries: readRegistries(flags, environment),
    redis,
    redisCa: readAuthority(flags['redis-ca'], redis),
    name: matching('--name', flags.name, /^(?!-)[a-z0-9-]{1,32}$/, '1 to 32 characters of [a-z0-9-]'),
    state,
    images: (flags.images ?? []).map((folder) => absolute('--images', folder)),
    storeBytes: whole('--store-bytes', flags['store-bytes'], Math.floor(diskOf(state) * diskShare), 1 << 20, 2 ** 50),
    layerLimits: {
      bytes: whole('--layer-bytes', flags['layer-bytes'], defaultLayerLimits.bytes, 1 << 20, 2 ** 40),
      entries: whole('--layer-entries', flags['layer-entries'], defaultLayerLimits.entries, 1, defaultLayerLimits.entries),
    },
    workerId: matching(
      '--worker-id',
      flags['worker-id'] ?? randomId(),
      /^[A-Za-z0-9._-]{1,64}$/,
      '1 to 64 characters of [A-Za-z0-9._-]',
    ),
    cpuMillis: whole('--cpu-millis', flags['cpu-millis'], cores() * 1000 * cpuOvercommit, 10, 10_000_000),
    memoryBytes: whole('--memory-bytes', flags['memory-bytes'], Math.floor(hostMemory() * memoryShare), 4 << 20, 2 ** 46),
    machineMemoryBytes: whole(
      '--machine-memory-bytes',
      flags['machine-memory-bytes'],
      Math.floor(hostMemory() * machineMemoryShare),
      0,
      2 ** 46,
    ),
    maxRuns: whole('--max-runs', flags['max-runs'], 0, 1, 10_000),
    pool: whole('--pool', flags.pool, 0, 1, 1_000),
    drainMs: whole('--drain-ms', flags['drain-ms'], 0, 0, 604_800_000),
    allowEmulation: flags['allow-emulation'],
    debug: flags.debug,
  }
}

export const cores = availableParallelism

function readSeal(file: string): Seal {
  try {
    const seal = Seal.parse(readFileSync(file, 'utf8'))
    if (seal) return seal
  } catch (error) {
    throw new UsageError(`--seal-key-file ${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`)
  }
  throw new UsageError(`--seal-key-file ${file} must hold 64 hexadecimal digits`)
}

function readAuthority(file: string | undefined, redis: string): string | undefined {
  try {
    return readRedisCa(file, redis)
  } catch (error) {
    throw error instanceof RedisCaError ? new UsageError(error.message) : error
  }
}

function readRegistries(flags: ReturnType<typeof parse>, environment: NodeJS.ProcessEnv): RegistryOptions {
  const named = {
    mirrors: flags['registry-mirror'],
    plainHttp: flags['registry-plain-http'],
    allow: flags['registry-allow'],
    realms: flags['registry-realm'],
    caFile: flags['registry-ca'],
    configFile: flags['registry-config'],
  }
  try {
    return registryOptions(named, environment)
  } catch (error) {
    throw error instanceof RegistryFlagError ? new UsageError(error.message) : error
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options, strict: true }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function hostMemory(): number {
  const allowed = process.constrainedMemory()
  return allowed > 0 ? Math.min(allowed, totalmem()) : totalmem()
}

/** Also before the folder is made. */
function diskOf(folder: string): number {
  try {
    const { bsize, blocks } = statfsSync(folder)
    return bsize * blocks
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || folder === '/') throw error
    return diskOf(dirname(folder))
  }
}

const randomId = () => `w${randomBytes(8).toString('hex')}`

function missing(flag: string): never {
  throw new UsageError(`${flag} is missing`)
}

function matching(flag: string, value: string, pattern: RegExp, what: string): string {
  if (pattern.test(value)) return value
  throw new UsageError(`${flag} ${JSON.stringify(value)}: must be ${what}`)
}

function absolute(flag: string, path: string): string {
  if (isAbsolute(path)) return path
  throw new UsageError(`${flag} ${JSON.stringify(path)}: must be an absolute path`)
}

function whole(flag: string, text: string | undefined, otherwise: number, least: number, most: number): number {
  if (text === undefined) return otherwise
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw new UsageError(`${flag} ${JSON.stringify(text)}: must be a whole number from ${least} to ${most}`)
}
