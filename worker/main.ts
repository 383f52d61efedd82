// The worker process: wiring, and how it ends.
import { join } from 'node:path'
import { caisson } from '../proto/messages.js'
import { connect, connectTail } from '../redis/connect.js'
import { Credentials as SealedCredentials } from '../redis/credentials.js'
import { Errands } from '../redis/errands.js'
import { Inbox } from '../redis/inbox.js'
import { Queues } from '../redis/queue.js'
import { Runs } from '../redis/runs.js'
import { StreamTail } from '../redis/tail.js'
import { Workers } from '../redis/workers.js'
import { Capacity, shareOf } from './capacity.js'
import { type Config, cores, parseConfig, UsageError, usage } from './config.js'
import { RunCredentials } from './credentials.js'
import { ErrandDesk } from './errands.js'
import type { Host } from './host.js'
import { ImageErrands } from './image/errands.js'
import { Images } from './image/images.js'
import { launcherMs } from './image/layers/holds.js'
import { maxLowers } from './image/layers/lowers.js'
import { LayerStore } from './image/layers/store.js'
import { Ledger } from './image/ledger.js'
import { Registries } from './image/registry/registries.js'
import { ImageFolders } from './image/sources/folders.js'
import { log } from './log.js'
import { Machines } from './machines.js'
import { Presence } from './presence.js'
import { probeDiskRate, probeMaximum } from './probe.js'
import { Intake } from './queue.js'
import { ReceiptKey } from './receipt/key.js'
import { containersOf, prepareContainer, readyContainers } from './sandbox/container.js'
import { Pool } from './sandbox/pool.js'

/** After the drain's own time: for last verdicts, if Redis takes them. */
const lastWordsMs = 10_000
/** After a second SIGTERM. */
const atOnceMs = 3_000
const leastReady = 2

async function main(config: Config): Promise<void> {
  const name = `worker-${config.workerId}`
  const open = (use: string) => connect(config.redis, `${name}-${use}`, 'patient', config.redisCa)
  const redis = open('runs')
  const tailing = connectTail(config.redis, `${name}-tail`, config.redisCa)
  const tail = new StreamTail(tailing, redis)
  let presence: Presence | undefined
  let intake: Intake | undefined
  const launcherPath = join('/run/caisson', config.name, 'launcher.sock')

  const images = await openImages(config, launcherPath)
  const credentials = new RunCredentials(new SealedCredentials(redis), config.seal)
  const host: Host = {
    runs: new Runs(redis, new Queues(redis)),
    inbox: new Inbox(redis, tail),
    credentials,
    images,
    pool: containersOf(
      new Pool(
        () => prepareContainer(launcherPath),
        {
          ...readyContainers,
          least: Math.min(leastReady, config.pool),
          most: config.pool,
          parallel: Math.max(2, cores()),
        },
        (problem) => {
          if (problem) {
            log.error('no sandbox can be made', problem)
            void intake?.withdraw()
          } else log.info('sandboxes can be made again')
          presence?.tell()
        },
      ),
    ),
    startsAtOnce: true,
    maxLowers,
    share: shareOf,
    capacity: new Capacity({ cpuMillis: config.cpuMillis, memoryBytes: config.memoryBytes }, config.maxRuns),
    receiptKey: await ReceiptKey.open(join(config.state, 'worker')),
    placement: { workerId: config.workerId, backend: caisson.v1.Backend.BACKEND_CONTAINER },
    log,
  }
  const machines = new Machines(host, config, launcherPath, open, () => presence?.tell())
  const diskRateUnavailable = await probeDiskRate()
  const offers = () => [containerOffer(host, diskRateUnavailable), machines.offer]
  const living = new Presence(host, new Workers(redis), await probeMaximum(config), offers)
  presence = living
  const desk = new ErrandDesk(new Errands(redis, tail), new ImageErrands(images, credentials, log), log)
  const taking = new Intake(host, 'container', open('queue'), open('handovers'))
  intake = taking
  const drain = async () => {
    living.drain()
    await Promise.all([desk.close(), taking.drain(config.drainMs), machines.drain(config.drainMs)])
    await living.leave()
    host.pool.close()
    await Promise.all([taking.close(), machines.close()])
  }
  const abandon = () => {
    taking.abandon()
    machines.abandon()
  }
  stopOn({ drain, drainMs: config.drainMs, abandon })

  await host.pool.untilHealthy()
  await living.told()
  process.stdout.write('ready\n')
  void machines.serve()
  void desk.serve(config.workerId)
  await taking.serve()
}

const containerOffer = ({ pool }: Host, diskRateUnavailable: string): caisson.v1.IBackendOffer => ({
  backend: caisson.v1.Backend.BACKEND_CONTAINER,
  counts: true,
  unavailable: pool.problem ?? '',
  diskRateUnavailable,
})

async function openImages({ state, images, storeBytes, layerLimits, registries }: Config, launcherPath: string): Promise<Images> {
  const folder = join(state, 'layers', 'v1')
  const layers = new LayerStore({ launcherPath, folder, limits: layerLimits, bytes: storeBytes, parallel: cores(), launcherMs })
  return new Images(await ImageFolders.open(images), layers, new Registries(registries), await Ledger.open(join(state, 'images')))
}

interface Stopping {
  drain(): Promise<void>
  drainMs: number
  abandon(): void
}

/** The first SIGTERM drains; a second one stops at once, and only says of each run how it was left. The launcher takes all sandboxes away. */
function stopOn({ drain, drainMs, abandon }: Stopping): void {
  let signals = 0
  const exit = (code: number) => () => process.exit(code)
  const stop = () => {
    signals++
    if (signals === 1) {
      setTimeout(exit(1), drainMs + lastWordsMs).unref()
      drain().then(exit(0), (error) => {
        log.error('drain failed', error)
        process.exit(1)
      })
    } else if (signals === 2) {
      setTimeout(exit(1), atOnceMs).unref()
      abandon()
    } else {
      process.exit(1)
    }
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

try {
  const config = parseConfig(process.argv.slice(2))
  if (config) await main(config)
  else process.stdout.write(`${usage}\n`)
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\n\n${usage}\n`)
  process.exit(2)
}
