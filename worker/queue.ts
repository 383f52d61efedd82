// Jobs of one backend, from BullMQ to a run each: never more than this worker has room for, but for one run that waits. BullMQ wakes,
// locks, and finds stalled jobs; a job is taken together with its run, in one script, and finished with its verdict. A worker that finds
// no job is handed the next one by the script that adds it (redis/lua/include/take.lua), and not only woken.
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { bullPrefix, type JobData, jobId, type QueueName } from '../proto/job.js'
import { Failure } from '../proto/reason.js'
import { Handovers } from '../redis/handovers.js'
import type { Report } from '../redis/runs.js'
import type { AtHand, ClaimedRun, Taken, TakeRequest } from '../redis/take.js'
import { Asking } from './asking.js'
import type { Share } from './capacity.js'
import { Deferred } from './deferred.js'
import type { Host } from './host.js'
import { Run } from './run.js'

const lockMs = 30_000
const renewMs = 10_000
const retryMs = 1_000
/** A wait for a job begins anew after so long: a wake-up may be lost with the worker that had it. */
const waitSeconds = 5
/** A run that was handed over comes first: the next is asked for with a verdict, or after this long, or when a job is there. */
const handoverMs = 50
/** A queue from which no job can be had is asked again. */
const limitedMs = 100
/** More are not accepted while an answer is on its way. */
const mostAccepted = 4_096
const nothing: Share = { cpuMillis: 0, memoryBytes: 0 }

interface Active {
  run: Run
  token: string
}

export class Intake {
  readonly #host: Host
  readonly #queue: QueueName
  readonly #jobs: Worker<JobData>
  readonly #handovers: Handovers
  readonly #active = new Map<string, Active>()
  /** Jobs, latest last. */
  readonly #accepted = new Set<string>()
  readonly #renewal: NodeJS.Timeout
  /** Of the request for the next job, until one is had by it. */
  #token = ''
  /** The token with which the request is known to stand. */
  #standing = ''
  readonly #asking = new Asking()
  #handed = new Deferred<void>()
  #marked: Promise<true> | undefined
  #isDraining = false
  #whenEmpty: (() => void) | undefined

  /** `handovers`: a connection of its own. */
  constructor(host: Host, queue: QueueName, redis: Redis, handovers: Redis) {
    this.#host = host
    this.#queue = queue
    this.#handovers = new Handovers(handovers, host.placement.workerId ?? '', queue, (token, run) => this.#accept(token, run))
    this.#renewToken()
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
    await Promise.all([this.#jobs.startStalledCheckTimer(), this.#handovers.listen()])
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
    const timer = setTimeout(() => this.abandon(), graceMs)
    await this.withdraw()
    if (this.#active.size > 0) await new Promise<void>((resolve) => (this.#whenEmpty = resolve))
    clearTimeout(timer)
  }

  /** Nothing is handed over until the next job is asked for. */
  async withdraw(): Promise<void> {
    const token = this.#token
    try {
      const { run } = await this.#host.runs.take({ ...this.#request(token), lockMs: 0 })
      this.#standing = ''
      this.#accept(token, run)
    } catch (error) {
      this.#host.log.error('the request for a job could not be withdrawn', error)
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#renewal)
    this.#handovers.close()
    await this.#jobs.close(true)
  }

  /** A run that waits for room here could run elsewhere: there is one at most. And none without a sandbox in sight. */
  async #untilRoom(): Promise<void> {
    const { pool, capacity } = this.#host
    for (await pool.untilHealthy(); capacity.isBusy; await pool.untilHealthy()) await capacity.untilNobodyWaits()
  }

  async #takeOne(): Promise<void> {
    while (!this.#asking.mayAsk(this.#token)) await this.#asking.untilAnswered()
    if (this.#isDraining) return
    const handed = this.#handed.promise
    const token = this.#token
    if (token !== this.#standing) {
      const taken = await this.#asking.ask(token, () => this.#host.runs.take(this.#request(token)))
      this.#hear(token, taken)
      // Of a queue that is paused or limited none can be had.
      if (taken.othersWait) return taken.run ? undefined : delay(limitedMs)
    }
    await Promise.race([this.#untilMarked(), handed])
    if (token !== this.#token) await this.#rest()
  }

  /** As long as one run after another is handed over. */
  async #rest(): Promise<void> {
    for (let token = ''; token !== this.#token; ) {
      token = this.#token
      if (await Promise.race([this.#untilMarked(), delay(handoverMs, false)])) return
    }
  }

  /** The request for the next job goes along with a run's verdict, where it does not stand already: one script less, and one fsync. */
  async #report(claimed: ClaimedRun, report: Report): Promise<boolean> {
    const { runs, capacity, pool, share } = this.#host
    const { runId, attempt, limits } = claimed
    const token = this.#token
    const isWanted =
      this.#asking.mayAsk(token) &&
      !this.#isDraining &&
      token !== this.#standing &&
      !capacity.isBusy &&
      pool.problem === undefined
    if (!report.verdict || !isWanted) return runs.report(runId, attempt, report)
    const request = this.#request(token, share(limits))
    const { isOurs, taken } = await this.#asking.ask(token, () => runs.conclude(runId, attempt, report, request))
    this.#hear(token, taken)
    return isOurs
  }

  #hear(token: string, { run, othersWait }: Taken): void {
    if (run || othersWait) this.#accept(token, run)
    else this.#standing = token
  }

  /**
   * By an answer, or handed over. The same run may come by both, or twice; and an answer that was lost and asked for again, after the next
   * request was sent, may bring another than the first did: that one is ours too.
   */
  #accept(token: string, run: ClaimedRun | undefined): void {
    if (token === this.#token) this.#renewToken()
    if (run && this.#isNew(run)) void this.#process(run, token)
  }

  #isNew({ runId, attempt }: ClaimedRun): boolean {
    const id = jobId(runId, attempt)
    if (this.#accepted.has(id)) return false
    this.#accepted.add(id)
    const [oldest] = this.#accepted
    if (this.#accepted.size > mostAccepted && oldest !== undefined) this.#accepted.delete(oldest)
    return true
  }

  #renewToken(): void {
    this.#token = `${this.#host.placement.workerId}:${randomUUID()}`
    this.#handed.resolve()
    this.#handed = new Deferred()
  }

  /** BullMQ marks a queue where jobs were added. One wait at a time: it goes on where a handover came first. */
  #untilMarked(): Promise<true> {
    this.#marked ??= this.#waitForMark()
    // Where a handover came first, nobody waits for it.
    this.#marked.catch(() => {})
    return this.#marked
  }

  async #waitForMark(): Promise<true> {
    try {
      await this.#jobs.backend.waitForJob(waitSeconds)
      return true
    } finally {
      this.#marked = undefined
      this.#standing = ''
    }
  }

  /** `ending`: what will be free by then. */
  #request(token: string, ending = nothing): TakeRequest {
    return { queue: this.#queue, token, lockMs, placement: this.#host.placement, atHand: this.#atHand(ending) }
  }

  /** A machine takes its time to boot, and a worker that is lost meanwhile has started nothing. */
  #atHand(ending: Share): AtHand | undefined {
    const { capacity, images, startsAtOnce } = this.#host
    if (!startsAtOnce) return undefined
    const cpuMillis = capacity.free.cpuMillis + ending.cpuMillis
    const memoryBytes = capacity.free.memoryBytes + ending.memoryBytes
    return { cpuMillis, memoryBytes, digests: images.atHand() }
  }

  async #process(claimed: ClaimedRun, token: string): Promise<void> {
    const id = jobId(claimed.runId, claimed.attempt)
    const run = new Run(this.#host, claimed, (report) => this.#report(claimed, report))
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
