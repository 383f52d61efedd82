// The story of one run: claim, room, image, sandbox, program, verdict; and everything given back in reverse, whatever happens.
import type { JobData } from '../proto/job.js'
import type { caisson } from '../proto/messages.js'
import { Failure } from '../proto/reason.js'
import type { ClaimedRun } from '../redis/runs.js'
import { StageClock } from './clock.js'
import { Held } from './held.js'
import type { Host } from './host.js'
import type { HeldImage, PreparedImage } from './image/images.js'
import { processOf } from './image/process.js'
import type { LogWriter } from './logs/writer.js'
import { Program } from './program.js'
import type { Sandbox } from './sandbox/sandbox.js'
import { Stop } from './stop.js'
import { mayRetry, verdictOf } from './verdict.js'
import { within } from './within.js'

const flushMs = 10_000

export class Run {
  readonly #host: Host
  readonly #job: JobData
  readonly #stop = new Stop()
  readonly #clock = new StageClock()
  #program: Program | undefined
  #account: caisson.launch.v1.IFinished | undefined

  constructor(host: Host, job: JobData) {
    this.#host = host
    this.#job = job
  }

  /** Resolves when the run has its verdict, is queued again, or is not ours. */
  async live(): Promise<void> {
    const image = this.#prepareImage()
    using _image = whenever(image)
    const claimed = await this.#claim()
    if (!claimed) return
    using held = new Held()
    const program = held.add(new Program(this.#host, claimed, this.#stop))
    this.#program = program
    try {
      await this.#execute(claimed, program, image, held)
    } catch (error) {
      this.stop(error)
    }
    await this.#conclude(claimed, program)
  }

  /** Ends it for `cause`, unless it is ending for another. */
  stop(cause: unknown): void {
    this.#stop.now(cause)
  }

  /** Ends it only if its program has not started: another worker may take it. */
  handBack(): void {
    if (!this.#program || this.#program.reached === 'preparing')
      this.stop(new Failure('WORKER_DRAINED', 'the worker is stopping'))
  }

  /** Beside the claim: an image that is ready costs less than the round trip. */
  #prepareImage(): Promise<HeldImage> {
    const image = this.#resolveImage()
    image.catch(() => {})
    return image
  }

  async #resolveImage(): Promise<HeldImage> {
    const { images, credentials } = this.#host
    const { runId, image, pull } = this.#job
    const credential = await credentials.of(runId, image)
    const report = (progress: caisson.v1.IProgress) => this.#program?.log.progress(progress)
    return images.prepare(image, this.#stop.signal, report, { pull, credential })
  }

  async #claim(): Promise<ClaimedRun | undefined> {
    const { runs, placement } = this.#host
    try {
      const claimed = await runs.claim(this.#job.runId, this.#job.attempt, placement)
      if (claimed) this.#clock.begunAt(claimed.submittedMs)
      else this.stop(new Failure('CANCELLED', 'there is no such run any more'))
      return claimed
    } catch (error) {
      this.stop(error)
      throw error
    }
  }

  async #execute(run: ClaimedRun, program: Program, preparing: Promise<PreparedImage>, held: Held) {
    const { sandbox, image, process } = await this.#prepare(run, preparing, held)
    await this.#start(run, sandbox, image)
    await program.execute(sandbox, process, () => this.#clock.mark('sandboxUs'))
    if (program.reached === 'started') this.#clock.mark('processUs')
    this.#account = await sandbox.finish()
  }

  /** Room, image and sandbox; within the time that the client gave. */
  async #prepare({ spec, limits, submittedMs }: ClaimedRun, preparing: Promise<PreparedImage>, held: Held) {
    const { capacity, pool, share } = this.#host
    const expired = () => new Failure('START_DEADLINE', 'not started within spec.start_within_ms')
    using _deadline = spec.startWithinMs ? this.#stop.after(submittedMs + spec.startWithinMs - Date.now(), expired) : null
    held.add(await capacity.take(share(limits), this.#stop.signal))
    this.#clock.mark('queuedUs')
    const image = await this.#stop.unless(preparing)
    const process = processOf(image.config, spec)
    this.#clock.mark('imageUs')
    return { image, process, sandbox: held.add(await pool.take(this.#stop.signal)) }
  }

  /** The record says STARTING before the agent hears of the program: from then on it may have run. */
  async #start({ runId, attempt, limits }: ClaimedRun, sandbox: Sandbox, image: PreparedImage) {
    const record = async () => {
      const isOurs = await this.#host.runs.starting(runId, attempt, image.manifestDigest)
      if (!isOurs) throw new Failure('WORKER_LOST', 'the run has gone to another attempt')
    }
    // A machine takes seconds to boot, for which a cancel does not wait.
    await this.#stop.unless(sandbox.start(image.layerKeys, limits, runId, record))
    this.#stop.signal.throwIfAborted()
  }

  async #conclude(claimed: ClaimedRun, { reached, report, counters, log }: Program): Promise<void> {
    const { runId, attempt, spec, limits } = claimed
    const { failure } = this.#stop
    if (failure?.cause !== undefined)
      this.#host.log.error(failure.message, failure.cause, { runId, attempt, reason: failure.reason })
    const output = log.budget
    const { stages } = this.#clock
    const verdict = verdictOf({ limits, reached, failure, report, counters, account: this.#account, output, stages })
    if (!mayRetry(verdict, spec) || !(await this.#requeue(claimed, log, verdict.message ?? ''))) await log.end(verdict)
  }

  /** What this attempt has said stays in the record. False: the run is to end with this attempt. */
  async #requeue({ runId, attempt }: ClaimedRun, log: LogWriter, message: string): Promise<boolean> {
    try {
      await within(log.flush(), flushMs, () => new Error(`output not stored within ${flushMs} ms`))
      return await this.#host.runs.requeue(runId, attempt, message)
    } catch (error) {
      this.#host.log.error('not queued again', error, { runId, attempt })
      return false
    }
  }
}

/** Also where it comes when nobody waits for it any more. */
const whenever = (thing: Promise<Disposable>): Disposable => ({
  [Symbol.dispose]: () => void thing.then((thing) => thing[Symbol.dispose]()).catch(() => {}),
})
