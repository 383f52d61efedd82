// Ends what no worker will end. One control of all sweeps, by a lease; every change is a script that looks again before it writes, so that two
// sweepers at once, or a worker that comes back, do no harm.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { retentionKey, runKey, runsKey, startDeadlinesKey, stateKey, workerRunsKey } from '../proto/keys.js'
import { caisson } from '../proto/messages.js'
import { isUnreachable } from '../redis/connect.js'
import type { Lease } from '../redis/lease.js'
import type { Queues } from '../redis/queue.js'
import { stateName } from '../redis/record.js'
import { queueName, type Runs } from '../redis/runs.js'
import { Scripts } from '../redis/scripts.js'
import type { Submissions } from '../redis/submissions.js'
import { expiredInQueue } from '../redis/verdicts.js'
import { heartbeatExpiryMs, type Workers } from '../redis/workers.js'
import * as log from './log.js'
import { lossOf } from './loss.js'

const { RunSpec } = caisson.v1

export const sweepMs = 1_000
/** Of each kind in one pass. */
const batch = 500
const passesMissedMs = 3 * sweepMs

export interface SweeperParts {
  redis: Redis
  lease: Lease
  queues: Queues
  runs: Runs
  submissions: Submissions
  workers: Workers
}

export class Sweeper {
  readonly #scripts: Scripts
  /** Workers that seem lost before this moment may only have had no Redis to tell that they live. */
  #graceUntil = 0
  #lastPass = Number.NEGATIVE_INFINITY
  #queuedAfter = ''

  constructor(private readonly parts: SweeperParts) {
    this.#scripts = new Scripts(parts.redis)
  }

  /** Until the signal. */
  async sweep(signal: AbortSignal): Promise<void> {
    let failed = false
    while (!signal.aborted) {
      try {
        if (await this.parts.lease.hold()) await this.pass()
        failed = false
      } catch (error) {
        // Said once: as long as Redis is away, every pass fails.
        if (!failed && isUnreachable(error)) log.info('no sweep until Redis can be reached')
        else if (!failed) log.error('a sweep failed', error)
        failed = true
      }
      await sleep(sweepMs, undefined, { signal }).catch(() => {})
    }
    await this.parts.lease.release().catch(() => {})
  }

  async pass(): Promise<void> {
    await this.#endExpired()
    if (await this.#seesWorkers()) await this.#endLost()
    await this.#restoreJobs()
    await this.#scripts.call('forget', [runsKey, stateKey('ENDED'), retentionKey], [batch])
  }

  /** A gap in what we saw (Redis restarted or stopped, we were) gives workers the time to tell that they live. */
  async #seesWorkers(): Promise<boolean> {
    const now = performance.now()
    const missed = now - this.#lastPass > passesMissedMs
    this.#lastPass = now
    const uptimeMs = Number(/^uptime_in_seconds:(\d+)/m.exec(await this.parts.redis.info('server'))?.[1] ?? 0) * 1_000
    if (missed) this.#graceUntil = now + heartbeatExpiryMs
    if (uptimeMs < heartbeatExpiryMs) this.#graceUntil = Math.max(this.#graceUntil, now + heartbeatExpiryMs - uptimeMs)
    return now >= this.#graceUntil
  }

  async #endExpired(): Promise<void> {
    const { redis, runs, submissions } = this.parts
    const [seconds] = await redis.time()
    const ids = await redis.zrange(startDeadlinesKey, '-inf', Number(seconds) * 1_000, 'BYSCORE', 'LIMIT', 0, batch)
    for (const runId of ids) {
      const run = await runs.get(runId)
      if (run === undefined) await redis.zrem(startDeadlinesKey, runId)
      else if (await submissions.close(runId, run.attempt, 'QUEUED', expiredInQueue())) {
        submissions.dropJob(await this.#queueOf(runId), runId, run.attempt)
      }
    }
  }

  async #endLost(): Promise<void> {
    const { workers } = this.parts
    for (const workerId of await workers.lost()) {
      const runIds = await workers.runs(workerId)
      for (const runId of runIds) await this.#endLostRun(workerId, runId)
      if (await workers.forget(workerId)) log.info('a worker is gone', { workerId, runs: runIds.length })
    }
  }

  async #endLostRun(workerId: string, runId: string): Promise<void> {
    const { redis, runs, submissions, workers } = this.parts
    const [state, attempt, worker, spec, cancel] = await redis.hmgetBuffer(
      runKey(runId),
      'state',
      'attempt',
      'worker',
      'spec',
      'cancel',
    )
    const name = state && stateName(state)
    if (!name || !spec || name === 'ENDED' || worker?.toString() !== workerRunsKey(workerId)) {
      return await workers.disown(workerId, runId)
    }
    const lost = { state: name, attempt: Number(attempt), workerId, cancelled: cancel !== null }
    const { retry, verdict } = lossOf({ ...lost, retryAfterStart: RunSpec.decode(spec).retryAfterStart })
    if (retry && (await runs.requeue(runId, lost.attempt, verdict.message ?? '', name))) return
    await submissions.close(runId, lost.attempt, name, verdict)
  }

  /** Queued runs, some in each pass: one whose job is missing gets it again. */
  async #restoreJobs(): Promise<void> {
    const { redis } = this.parts
    const from = this.#queuedAfter === '' ? '-' : `(${this.#queuedAfter}`
    const ids = await redis.zrange(stateKey('QUEUED'), from, '+', 'BYLEX', 'LIMIT', 0, batch)
    this.#queuedAfter = ids.length < batch ? '' : (ids.at(-1) ?? '')
    await Promise.all(ids.map((runId) => this.#restoreJob(runId)))
  }

  async #restoreJob(runId: string): Promise<void> {
    const { redis, queues, runs, submissions } = this.parts
    const [attempt, queue] = await redis.hmget(runKey(runId), 'attempt', 'queue')
    if (!attempt || !queue) return void (await redis.zrem(stateKey('QUEUED'), runId))
    const name = queueName(Buffer.from(queue))
    if (await queues.has(name, runId, Number(attempt))) return
    const run = await runs.get(runId)
    const restored = run?.spec && (await submissions.enqueue(runId, run.attempt, name, run.spec))
    if (restored) log.info('a queued run has its job again', { runId })
  }

  async #queueOf(runId: string) {
    const [queue] = await this.parts.redis.hmgetBuffer(runKey(runId), 'queue')
    return queueName(queue ?? Buffer.from('container'))
  }
}
