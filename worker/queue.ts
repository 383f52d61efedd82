// Jobs of one backend, from BullMQ to a run each. Fetched by hand: never more than this worker has room for, but for one run that waits.
import { setTimeout as delay } from 'node:timers/promises'
import { type Job, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { bullPrefix, type JobData, type QueueName } from '../proto/job.js'
import { Failure } from '../proto/reason.js'
import type { Host } from './host.js'
import { Run } from './run.js'

const lockMs = 30_000
const renewMs = 10_000
const retryMs = 1_000

interface Active {
  run: Run
  token: string
}

export class Intake {
  readonly #host: Host
  readonly #jobs: Worker<JobData>
  readonly #active = new Map<string, Active>()
  readonly #renewal: NodeJS.Timeout
  #isDraining = false
  #trouble: Promise<void> | undefined
  #count = 0
  #whenEmpty: (() => void) | undefined

  constructor(host: Host, queue: QueueName, redis: Redis) {
    this.#host = host
    this.#jobs = new Worker<JobData>(queue, null, {
      connection: redis,
      prefix: bullPrefix,
      autorun: false,
      lockDuration: lockMs,
      // A job comes back when its worker died before the claim; after that there is nothing to claim, whatever BullMQ counts.
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
      const token = `${this.#host.placement.workerId}:${this.#count++}`
      const job = await this.#next(token)
      if (job) void this.#process(job, token)
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

  /** A claimed run that waits for room here could run elsewhere: there is one at most. And none without a sandbox in sight. */
  async #untilRoom(): Promise<void> {
    await this.#trouble
    await this.#host.pool.untilHealthy()
    await this.#host.capacity.untilNobodyWaits()
  }

  async #next(token: string): Promise<Job<JobData> | undefined> {
    if (this.#isDraining) return undefined
    try {
      return await this.#jobs.getNextJob(token)
    } catch (error) {
      this.#host.log.error('no job could be fetched', error)
      await delay(retryMs)
      return undefined
    }
  }

  async #process(job: Job<JobData>, token: string): Promise<void> {
    const id = job.id as string
    // What changed while the fetch waited for a job.
    if (this.#isDraining || this.#host.pool.problem !== undefined) return this.#giveBack(job, token)
    const run = new Run(this.#host, job.data)
    this.#active.set(id, { run, token })
    try {
      await run.live()
      await this.#finish(job, token)
    } catch (error) {
      this.#host.log.error('run not claimed', error, { job: id })
      // Whatever keeps it from being claimed keeps others too.
      this.#trouble = delay(retryMs)
      await this.#trouble
      await this.#giveBack(job, token)
    } finally {
      this.#active.delete(id)
      if (this.#active.size === 0) this.#whenEmpty?.()
    }
  }

  async #finish(job: Job<JobData>, token: string): Promise<void> {
    // The record tells the rest: a job that cannot be finished finds nothing to claim when it comes back.
    await job
      .moveToCompleted(null, token, false)
      .catch((error) => this.#host.log.error('job not finished', error, { job: job.id }))
  }

  async #giveBack(job: Job<JobData>, token: string): Promise<void> {
    await job.moveToWait(token).catch((error) => this.#host.log.error('job not given back', error, { job: job.id }))
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
