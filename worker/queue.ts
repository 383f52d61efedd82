// Jobs of one backend, from BullMQ to a run each: never more than this worker has room for, but for one run that waits. BullMQ wakes,
// locks, and finds stalled jobs; a job is taken together with its run, in one script (redis/lua/take.lua), and finished with its verdict.
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { bullPrefix, type JobData, jobId, type QueueName } from '../proto/job.js'
import { Failure } from '../proto/reason.js'
import type { AtHand, ClaimedRun } from '../redis/runs.js'
import type { Host } from './host.js'
import { Run } from './run.js'

const lockMs = 30_000
const renewMs = 10_000
const retryMs = 1_000
/** A wait for a job begins anew after so long: a wake-up may be lost with the worker that had it. */
const waitSeconds = 5

interface Active {
  run: Run
  token: string
}

export class Intake {
  readonly #host: Host
  readonly #queue: QueueName
  readonly #jobs: Worker<JobData>
  readonly #active = new Map<string, Active>()
  readonly #renewal: NodeJS.Timeout
  #isDraining = false
  #whenEmpty: (() => void) | undefined

  constructor(host: Host, queue: QueueName, redis: Redis) {
    this.#host = host
    this.#queue = queue
    this.#jobs = new Worker<JobData>(queue, null, {
      connection: redis,
      prefix: bullPrefix,
      autorun: false,
      lockDuration: lockMs,
      // A job comes back when its worker died; then its run is the sweeper's, whatever BullMQ counts.
      maxStalledCount: 0,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    })
    this.#jobs.on('error', (error) => host.log.error('BullMQ', error))
    this.#renewal = setInterval(() => void this.#renewLocks(), renewMs)
  }

  /** Takes jobs until `drain`. */
  async serve(): Promise<void> {
    await this.#jobs.startStalledCheckTimer()
    while (!this.#isDraining) {
      await this.#untilRoom()
      await this.#takeOne().catch((error) => {
        this.#host.log.error('no job could be taken', error)
        return delay(retryMs)
      })
    }
  }

  get activeRuns(): number {
    return this.#active.size
  }

  /** No new jobs; runs that have not started go back, the others have `graceMs`. Resolves when none is left. */
  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true
    for (const { run } of this.#active.values()) run.handBack()
    const empty = new Promise<void>((resolve) => {
      this.#whenEmpty = resolve
    })
    if (this.#active.size === 0) return
    const timer = setTimeout(() => this.abandon(), graceMs)
    await empty
    clearTimeout(timer)
  }

  async close(): Promise<void> {
    clearInterval(this.#renewal)
    await this.#jobs.close(true)
  }

  /** A run that waits for room here could run elsewhere: there is one at most. And none without a sandbox in sight. */
  async #untilRoom(): Promise<void> {
    await this.#host.pool.untilHealthy()
    await this.#host.capacity.untilNobodyWaits()
  }

  async #takeOne(): Promise<void> {
    if (this.#isDraining) return
    const token = `${this.#host.placement.workerId}:${randomUUID()}`
    const { run, othersWait } = await this.#host.runs.take(this.#queue, token, lockMs, this.#host.placement, this.#atHand())
    if (run) void this.#process(run, token)
    if (!othersWait) await this.#jobs.backend.waitForJob(waitSeconds)
  }

  /** A machine takes its time to boot, and a worker that is lost meanwhile has started nothing. */
  #atHand(): AtHand | undefined {
    const { capacity, images, startsAtOnce } = this.#host
    return startsAtOnce ? { ...capacity.free, digests: images.atHand() } : undefined
  }

  async #process(claimed: ClaimedRun, token: string): Promise<void> {
    const id = jobId(claimed.runId, claimed.attempt)
    const run = new Run(this.#host, claimed)
    this.#active.set(id, { run, token })
    try {
      // What changed while the answer was on its way.
      if (this.#isDraining) run.handBack()
      await run.live()
    } catch (error) {
      this.#host.log.error('run not ended', error, { job: id })
    } finally {
      this.#active.delete(id)
      if (this.#active.size === 0) this.#whenEmpty?.()
    }
  }

  /** Every run ends now, with what can be said of it. */
  abandon(): void {
    for (const { run } of this.#active.values())
      run.stop(new Failure('WORKER_DRAINED', 'the worker stopped before the program ended'))
  }

  /** Without its lock a job may be somebody else's: the run is killed, and its last words are fenced as all writes are. */
  async #renewLocks(): Promise<void> {
    const ids = [...this.#active.keys()]
    if (ids.length === 0) return
    try {
      const tokens = ids.map((id) => this.#active.get(id)?.token ?? '')
      const lost = await this.#jobs.extendJobLocks(ids, tokens, lockMs)
      for (const id of lost) this.#active.get(id)?.run.stop(new Failure('WORKER_LOST', 'the worker lost its hold on the run'))
    } catch (error) {
      this.#host.log.error('locks not renewed', error)
    }
  }
}
