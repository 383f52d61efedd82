// The control process: wiring, and the way out.
import { once } from 'node:events'
import type { Redis } from 'ioredis'
import { sweeperLeaseKey } from '../proto/keys.js'
import { connect, connectTail } from '../redis/connect.js'
import { Errands } from '../redis/errands.js'
import { Inbox } from '../redis/inbox.js'
import { Lease } from '../redis/lease.js'
import { Listing } from '../redis/listing.js'
import { Queues } from '../redis/queue.js'
import { Runs } from '../redis/runs.js'
import { Submissions } from '../redis/submissions.js'
import { StreamTail } from '../redis/tail.js'
import { Workers } from '../redis/workers.js'
import { Attach } from './attach.js'
import { Calls } from './calls.js'
import { type Config, ConfigError, parseConfig } from './config.js'
import { Health } from './health.js'
import { Images } from './images.js'
import { Living } from './living.js'
import * as log from './log.js'
import { Memory } from './memory.js'
import { GrpcServer } from './server.js'
import { Submit } from './submit.js'
import { Sweeper } from './sweeper.js'
import { Watch } from './watch.js'

async function main(config: Config): Promise<void> {
  const stopping = stopSignals()
  const connections = connectAll(config)
  const { redis, tailing, reading } = connections
  await Promise.race([firstReady(redis), aborted(stopping.first)])
  if (stopping.first.aborted) return
  const queues = new Queues(redis)
  await queues.ready()

  const tail = new StreamTail(tailing, reading)
  const runs = new Runs(redis, queues)
  const submissions = new Submissions(redis, queues)
  const workers = new Workers(redis)
  const living = new Living(workers)
  const health = new Health(redis)
  const parts = {
    calls: new Calls(),
    submit: new Submit(submissions, living, new Memory(redis), config),
    watch: new Watch(redis, tail),
    attach: new Attach(new Inbox(redis, tail)),
    listing: new Listing(redis),
    images: new Images(new Errands(redis, tail), living, config.seal),
    runs,
    submissions,
    workers,
  }
  const server = new GrpcServer(parts, config, health)
  const port = await server.listen()
  const lease = new Lease(redis, sweeperLeaseKey, leaseMs)
  const sweeper = new Sweeper({ redis, lease, queues, runs, submissions, workers })
  const background = [health.watch(stopping.first), sweeper.sweep(stopping.first)]
  log.info('control serves', { host: config.host, port })
  process.stdout.write('ready\n')

  await aborted(stopping.first)
  log.info('control stops')
  await server.stop(config.graceMs, stopping.second)
  await Promise.all(background)
  tail.close()
  for (const connection of Object.values(connections)) connection.disconnect()
}

const leaseMs = 5_000

/** Calls fail fast; events are read beside them, so that a page of output delays no submit. */
function connectAll({ redis: address, redisCa }: Config) {
  return {
    redis: connect(address, 'control', 'failFast', redisCa),
    tailing: connectTail(address, 'control-tail', redisCa),
    reading: connect(address, 'control-read', 'patient', redisCa),
  }
}

/** Waits for a Redis that is not there yet, and says once for each reason why it is not. */
function firstReady(redis: Redis): Promise<void> {
  const said = new Set<string>()
  const say = (error: Error) => {
    if (!said.has(error.message)) log.error('control waits for Redis', error)
    said.add(error.message)
  }
  redis.on('error', say)
  return new Promise((resolve) => {
    redis.once('ready', () => {
      redis.off('error', say)
      resolve()
    })
  })
}

/** SIGTERM or SIGINT: stop in order; once more: at once. */
function stopSignals(): { first: AbortSignal; second: AbortSignal } {
  const first = new AbortController()
  const second = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => (first.signal.aborted ? second : first).abort())
  }
  return { first: first.signal, second: second.signal }
}

const aborted = async (signal: AbortSignal): Promise<void> => void (signal.aborted || (await once(signal, 'abort')))

try {
  await main(parseConfig(process.argv.slice(2)))
  process.exit(0)
} catch (error) {
  if (error instanceof ConfigError) process.stderr.write(`${error.message}\n`)
  else log.error('control cannot go on', error)
  process.exit(error instanceof ConfigError ? 2 : 1)
}
