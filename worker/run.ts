// The story of one run: room, image, sandbox, program, verdict; and everything given back in reverse, whatever happens.
import { setTimeout as delay } from 'node:timers/promises'
import type { caisson } from '../proto/messages.js'
import { Failure } from '../proto/reason.js'
import { specDigest } from '../proto/specDigest.js'
import type { ClaimedRun } from '../redis/take.js'
import { StageClock } from './clock.js'
import { Held } from './held.js'
import type { Host } from './host.js'
import type { HeldImage, PreparedImage } from './image/images.js'
import { processOf } from './image/process.js'
import type { LogOwner } from './logs/writer.js'
import { Program } from './program.js'
import { statementOf } from './receipt/statement.js'
import type { Sandbox } from './sandbox/sandbox.js'
import { Stop } from './stop.js'
import { mayRetry, verdictOf } from './verdict.js'
import { within } from './within.js'

const flushMs = 10_000
/** The verdict's way to the client: what is taken away meanwhile takes the processor from it. */
const newsMs = 1

export class Run {
  readonly #host: Host
  readonly #run: ClaimedRun
  readonly #stop = new Stop()
  readonly #clock = new StageClock()
  readonly #program: Program
  #account: caisson.launch.v1.IFinished | undefined
  #image: PreparedImage | undefined
  #sandbox: Sandbox | undefined
  #startedMs: number | undefined
  #specDigest: string | undefined

  /** Listens for the client's wishes from now on. `report` writes for this attempt, as that of LogOwner. */
  constructor(host: Host, run: ClaimedRun, report: LogOwner['report']) {
    this.#host = host
    this.#run = run
    this.#clock.begunAt(run.submittedMs)
    this.#program = new Program(host, run, report, this.#stop)
  }

  /** Resolves when the run has its verdict, is queued again, or is another's. */
  async live(): Promise<void> {
    using held = new Held()
    held.add(this.#program)
    try {
      await this.#execute(held)
    } catch (error) {
      this.stop(error)
    }
    await this.#conclude()
    if (!this.#host.capacity.isBusy) await delay(newsMs)
  }

  /** Ends it for `cause`, unless it is ending for another. */
  stop(cause: unknown): void {
    this.#stop.now(cause)
  }

  /** Ends it only if its program has not started: another worker may take it. */
  handBack(): void {
    if (this.#program.reached === 'preparing') this.stop(new Failure('WORKER_DRAINED', 'the worker is stopping'))
  }

  async #execute(held: Held) {
    const { sandbox, image, process } = await this.#prepare(held)
    this.#tellConsole(sandbox)
    await this.#start(sandbox, image)
    await this.#program.execute(sandbox, process, () => {
      this.#startedMs = Date.now()
      this.#clock.mark('sandboxUs')
      // For the receipt, while nobody waits for us.
      this.#specDigest = specDigest(this.#run.spec)
    })
    if (this.#program.reached === 'started') this.#clock.mark('processUs')
    this.#account = await sandbox.finish()
  }

  /** Room, image and sandbox; within the time that the client gave. */
  async #prepare(held: Held) {
    const { capacity, pool, share } = this.#host
    const { spec, limits, submittedMs } = this.#run
    const expired = () => new Failure('START_DEADLINE', 'not started within spec.start_within_ms')
    using _deadline = spec.startWithinMs ? this.#stop.after(submittedMs + spec.startWithinMs - Date.now(), expired) : null
    const preparing = this.#prepareImage()
    held.add(whenever(preparing))
    held.add(await capacity.take(share(limits), this.#stop.signal))
    this.#clock.mark('queuedUs')
    const image = await this.#stop.unless(preparing)
    this.#image = image
    const process = processOf(image.config, spec)
    this.#clock.mark('imageUs')
    this.#sandbox = held.add(await pool.take({ layerKeys: image.layerKeys, limits }, this.#stop.signal))
    return { image, process, sandbox: this.#sandbox }
  }

  async #prepareImage(): Promise<HeldImage> {
    const { images, credentials, maxLowers } = this.#host
    const { runId, spec } = this.#run
    const credential = await credentials.of(runId, spec.image)
    const report = (progress: caisson.v1.IProgress) => this.#program.log.progress(progress)
    return images.prepare(spec.image, this.#stop.signal, report, { pull: spec.pull, credential, maxLowers })
  }

  #tellConsole({ console }: Sandbox) {
    const { runId, attempt } = this.#run
    if (console) this.#host.log.info('the console of its guest is kept', { runId, attempt, console: console.path })
  }

  /** The record says STARTING before the agent hears of the program: from then on it may have run. */
  async #start(sandbox: Sandbox, image: PreparedImage) {
    const { runId, attempt, limits, startingWith } = this.#run
    const record = async () => {
      if (startingWith === image.manifestDigest) return
      const isOurs = await this.#host.runs.starting(runId, attempt, image.manifestDigest)
      if (!isOurs) throw new Failure('WORKER_LOST', 'the run has gone to another attempt')
    }
    // A machine takes seconds to boot, for which a cancel does not wait.
    await this.#stop.unless(sandbox.start(image.layerKeys, limits, runId, record))
    this.#stop.signal.throwIfAborted()
  }

  async #conclude(): Promise<void> {
    const { runId, attempt, spec } = this.#run
    const { failure } = this.#stop
    await this.#sandbox?.console?.explain(failure?.cause)
    if (failure?.cause !== undefined)
      this.#host.log.error(failure.message, failure.cause, { runId, attempt, reason: failure.reason })
    let verdict = this.#verdict(failure)
    if (mayRetry(verdict, spec)) {
      if (await this.#requeue(verdict.message ?? '')) return
      // Which is heard only once the inbox is read.
      if (await this.#isCancelled()) verdict = this.#verdict(new Failure('CANCELLED', 'cancelled'))
    }
    await this.#program.log.end(verdict, this.#receipt(verdict))
  }

  #verdict(failure: Failure | undefined): caisson.v1.IVerdict {
    const { reached, report, counters, log } = this.#program
    const { stages } = this.#clock
    const account = this.#account
    return verdictOf({ limits: this.#run.limits, reached, failure, report, counters, account, output: log.budget, stages })
  }

  #receipt(verdict: caisson.v1.IVerdict): Buffer {
    const { runId, attempt, submittedMs, spec, limits } = this.#run
    const statement = statementOf({
      runId,
      attempt,
      workerId: this.#host.placement.workerId ?? '',
      submittedMs,
      startedMs: this.#startedMs,
      endedMs: Date.now(),
      specDigest: this.#specDigest ?? specDigest(spec),
      verdict,
      image: this.#image,
      wall: this.#sandbox?.wall,
      enforced: this.#account?.enforced ?? undefined,
      limits,
      executed: this.#program.reached !== 'preparing',
    })
    return this.#host.receiptKey.seal(statement)
  }

  /** What this attempt has said stays in the record. False: the run is to end with this attempt. */
  async #requeue(message: string): Promise<boolean> {
    const { runId, attempt } = this.#run
    try {
      await within(this.#program.log.flush(), flushMs, () => new Error(`output not stored within ${flushMs} ms`))
      return await this.#host.runs.requeue(runId, attempt, message)
    } catch (error) {
      this.#host.log.error('not queued again', error, { runId, attempt })
      return false
    }
  }

  async #isCancelled(): Promise<boolean> {
    return this.#host.runs.isCancelled(this.#run.runId).catch(() => false)
  }
}

/** Also where it comes when nobody waits for it any more; or fails: that is told by whoever gave it up. */
function whenever(thing: Promise<Disposable>): Disposable {
  thing.catch(() => {})
  return { [Symbol.dispose]: () => void thing.then((thing) => thing[Symbol.dispose]()).catch(() => {}) }
}
