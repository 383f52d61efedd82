// Output on its way into the run's event stream, at the pace of Redis: what is not yet acknowledged has not given its credit back.
import { setTimeout as delay } from 'node:timers/promises'
import type { caisson } from '../../proto/messages.js'
import { type OutputEvent, timestamp } from '../../redis/events.js'
import type { Report } from '../../redis/runs.js'
import { Deferred } from '../deferred.js'
import { Backlog, type Chunk } from './backlog.js'
import { OutputBudget } from './budget.js'

type Stream = caisson.agent.v1.Stream

const firstRetryMs = 100
const lastRetryMs = 2_000
/** Nobody misses the news that a program runs for this long. */
const runningMs = 20

export interface LogOwner {
  /** Writes for this attempt; false: it is no longer the run's. */
  report(report: Report): Promise<boolean>
  /** So much of a stream is safe in Redis, or dropped. */
  acknowledged(stream: Stream, bytes: number): void
  /** The program wrote more than it may; called once. */
  exceeded(): void
  /** Another attempt has the run, or none: nothing of this one counts any more; called once. */
  fenced(): void
  /** The store refused a report; it is tried again. */
  refused(error: unknown): void
}

export class LogWriter {
  readonly #owner: LogOwner
  readonly #attempt: number
  readonly #budget: OutputBudget
  readonly #patienceMs: number
  readonly #backlog = new Backlog()
  readonly #ended = new Deferred<boolean>()
  readonly #progress = new Map<string, caisson.v1.IProgress>()
  #running = false
  #runningTimer: NodeJS.Timeout | undefined
  #truncated = false
  #verdict: caisson.v1.IVerdict | undefined
  #receipt: Buffer | undefined
  #givesUpAt = Number.POSITIVE_INFINITY
  #writing = false
  #idle: Deferred<void> | undefined
  #fenced = false

  /** `patienceMs`: a store that refuses output delays a verdict by this much, and no more. */
  constructor(owner: LogOwner, attempt: number, limitBytes: number, patienceMs = 10_000) {
    this.#owner = owner
    this.#attempt = attempt
    this.#budget = new OutputBudget(limitBytes)
    this.#patienceMs = patienceMs
  }

  get budget(): Readonly<OutputBudget> {
    return this.#budget
  }

  /** A report is under way, so the program may have to wait for Redis. */
  get isWriting(): boolean {
    return this.#writing
  }

  /** The latest word on each layer is enough. */
  progress(progress: caisson.v1.IProgress): void {
    this.#progress.set(progress.digest ?? '', progress)
    this.#wake()
  }

  /** Told with the first output, or the verdict, or alone in a moment: a program that does not last so long is one report. */
  running(): void {
    this.#running = true
    this.#runningTimer = setTimeout(() => this.#wake(), runningMs)
  }

  output(stream: Stream, offset: number, data: Uint8Array): void {
    const hadExceeded = this.#budget.exceeded
    const kept = this.#budget.take(data.length)
    if (kept > 0) this.#backlog.add(data.subarray(0, kept), { stream, offset, timeMs: Date.now() })
    if (kept < data.length) this.#owner.acknowledged(stream, data.length - kept)
    if (this.#budget.exceeded && !hadExceeded) {
      this.#truncated = true
      this.#owner.exceeded()
    }
    this.#wake()
  }

  /** Resolves when everything so far is with Redis, or fenced off. */
  async flush(): Promise<void> {
    this.#wake()
    while (this.#writing) {
      this.#idle ??= new Deferred()
      await this.#idle.promise
    }
  }

  /** What is left of the output, and the verdict with its receipt. False: fenced, nothing was written. */
  end(verdict: caisson.v1.IVerdict, receipt?: Buffer): Promise<boolean> {
    this.#verdict = verdict
    this.#receipt = receipt
    this.#givesUpAt = Date.now() + this.#patienceMs
    if (this.#fenced) this.#ended.resolve(false)
    this.#wake()
    return this.#ended.promise
  }

  #wake(): void {
    if (this.#writing || this.#fenced) return
    this.#writing = true
    // In a microtask, so that all frames of one read from the channel are one report.
    queueMicrotask(() => this.#write())
  }

  /** One report is under way at a time: what comes meanwhile grows together. */
  async #write(): Promise<void> {
    while (this.#hasWork) {
      const chunks = this.#backlog.take()
      const report = this.#reportOf(chunks)
      if (!(await this.#insist(report))) return this.#fence()
      for (const chunk of chunks) this.#acknowledge(chunk)
      if (report.verdict) this.#ended.resolve(true)
    }
    this.#rest()
  }

  #acknowledge(chunk: Chunk): void {
    this.#backlog.release(chunk)
    this.#owner.acknowledged(chunk.stream, chunk.data.length)
  }

  #rest(): void {
    this.#writing = false
    this.#idle?.resolve()
    this.#idle = undefined
  }

  get #hasWork(): boolean {
    return this.#running || this.#progress.size > 0 || this.#truncated || this.#verdict !== undefined || !this.#backlog.isEmpty
  }

  /** Takes what is due: Truncated is the last of the output, and the verdict the last of all. */
  #reportOf(chunks: Chunk[]): Report {
    const time = timestamp(Date.now())
    const progress: caisson.v1.IRunEvent[] = [...this.#progress.values()].map((progress) => ({ time, progress }))
    const events: NonNullable<Report['events']> = [...progress, ...chunks.map((chunk) => this.#eventOf(chunk))]
    this.#progress.clear()
    const report: Report = { running: this.#running, events }
    this.#running = false
    clearTimeout(this.#runningTimer)
    if (!this.#backlog.isEmpty) return report
    if (this.#truncated) events.push({ time, truncated: { limitBytes: this.#budget.limitBytes } })
    if (this.#verdict) this.#conclude(report, this.#verdict)
    this.#truncated = false
    this.#verdict = undefined
    return report
  }

  #conclude(report: Report, verdict: caisson.v1.IVerdict): void {
    report.verdict = verdict
    if (this.#receipt) report.receipt = this.#receipt
  }

  #eventOf({ stream, offset, data, timeMs }: Chunk): OutputEvent {
    // The numbers of the two Stream enums agree, by their definition.
    return { time: timestamp(timeMs), output: { stream: stream as number, offset, data, attempt: this.#attempt } }
  }

  /** Repeats a report until the store took it, or fenced it off. */
  async #insist(report: Report): Promise<boolean> {
    for (let waitMs = firstRetryMs; ; waitMs = Math.min(waitMs * 2, lastRetryMs)) {
      try {
        return await this.#owner.report(report)
      } catch (error) {
        this.#owner.refused(error)
      }
      await delay(waitMs)
      if (Date.now() >= this.#givesUpAt) this.#giveUp(report)
    }
  }

  /** The verdict must not depend on the log; but it says that the log lacks its end. */
  #giveUp(report: Report): void {
    if (!report.events?.length) return
    const verdict = report.verdict ?? this.#verdict
    report.events = []
    const message = `${verdict?.message ?? ''} (the end of the output could not be stored)`.trim()
    this.#conclude(report, { ...verdict, message })
    this.#backlog.clear()
    this.#truncated = false
    this.#verdict = undefined
  }

  #fence(): void {
    this.#fenced = true
    this.#rest()
    this.#backlog.clear()
    this.#ended.resolve(false)
    this.#owner.fenced()
  }
}
