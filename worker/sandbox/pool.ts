// Sandboxes made ahead of any run. One that was taken never comes back; one that breaks while it waits is replaced.
import { Failure } from '../../proto/reason.js'
import { Deferred } from '../deferred.js'
import { within } from '../within.js'
import type { Sandbox } from './sandbox.js'

const firstRetryMs = 100
const lastRetryMs = 5_000
/** One that lies idle for so long has time to rehearse: a run that took it at once would only wait for the end of it. */
const restMs = 200

export interface PoolBounds {
  /** Wait ready when nothing goes on. */
  least: number
  /** Wait ready at the most; 0: nothing is made ahead. */
  most: number
  /** Are made at the same time. */
  parallel: number
  /** Until a sandbox must be there for whoever waits for one. */
  patienceMs: number
  /** What lay idle for so long was not needed. */
  reviewMs: number
  /** Making a sandbox would be in the way of the run that took one; a short run is over by then. `empty`: when no other waits. */
  refillMs: { others: number; empty: number }
  /** Whether there is room for one more than the least that nobody waits for. */
  hasRoom(): boolean
}

/** `S`: of one kind, and one as good as the other. */
export class Pool<S extends Sandbox> {
  readonly #prepare: () => Promise<S>
  readonly #bounds: PoolBounds
  readonly #onChange: (problem: Error | undefined) => void
  readonly #idle: S[] = []
  readonly #waiting: Deferred<S>[] = []
  readonly #review: NodeJS.Timeout
  #preparing = 0
  #target: number
  #leastIdle = 0
  #problem: string | undefined
  /** Until the first sandbox was made, and after one could not be. */
  #healthy: Deferred<void> | undefined = new Deferred()
  #retryMs = firstRetryMs
  #retry: NodeJS.Timeout | undefined
  #refill: NodeJS.Timeout | undefined
  #closed = false

  /** `onChange` hears when `problem` appears, changes or goes. */
  constructor(prepare: () => Promise<S>, bounds: PoolBounds, onChange: (problem: Error | undefined) => void) {
    this.#prepare = prepare
    this.#bounds = bounds
    this.#onChange = onChange
    this.#target = bounds.least
    this.#review = setInterval(() => this.#shrink(), bounds.reviewMs).unref()
    this.#fill()
  }

  /** Why no sandbox can be made; undefined when they can, as far as is known. */
  get problem(): string | undefined {
    return this.#problem
  }

  get size(): number {
    return this.#idle.length
  }

  get isWaitedFor(): boolean {
    return this.#waiting.length > 0
  }

  /** A sandbox could be made the last time one was. */
  async untilHealthy(): Promise<void> {
    await this.#healthy?.promise
  }

  async take(signal: AbortSignal): Promise<S> {
    signal.throwIfAborted()
    const ready = this.takeReady()
    if (ready) return ready
    const taken = this.#wait(signal)
    this.#fill()
    return taken
  }

  /** Undefined when none waits; the next time one may. */
  takeReady(): S | undefined {
    const ready = this.#idle.shift()
    this.#leastIdle = Math.min(this.#leastIdle, this.#idle.length)
    if (!ready) this.#target = Math.min(this.#target + 1, this.#bounds.most)
    this.#refillLater()
    return ready
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#review)
    clearTimeout(this.#retry)
    clearTimeout(this.#refill)
    for (const sandbox of this.#idle.splice(0)) sandbox[Symbol.dispose]()
    for (const waiting of this.#waiting.splice(0)) waiting.reject(new Failure('WORKER_DRAINED', 'the worker is stopping'))
  }

  async #wait(signal: AbortSignal): Promise<S> {
    const waiting = new Deferred<S>()
    const leave = () => waiting.reject(signal.reason)
    this.#waiting.push(waiting)
    signal.addEventListener('abort', leave, { once: true })
    const late = () => new Failure('SANDBOX_FAILED', `no sandbox: ${this.#problem ?? 'the launcher is too slow'}`)
    try {
      return await within(waiting.promise, this.#bounds.patienceMs, late)
    } finally {
      signal.removeEventListener('abort', leave)
      const at = this.#waiting.indexOf(waiting)
      if (at >= 0) this.#waiting.splice(at, 1)
    }
  }

  #fill(): void {
    clearTimeout(this.#refill)
    this.#refill = undefined
    if (this.#closed || this.#retry) return
    const wanted = this.#target + this.#waiting.length - this.#idle.length
    const parallel = this.#problem ? 1 : this.#bounds.parallel
    while (this.#preparing < Math.min(wanted, parallel) && this.#mayAdd()) this.#add()
  }

  /** None is made ahead while somebody waits for his. */
  #mayAdd(): boolean {
    if (this.#waiting.length > 0) return this.#preparing < this.#waiting.length
    return this.#idle.length + this.#preparing < this.#bounds.least || this.#bounds.hasRoom()
  }

  #refillLater(): void {
    const { others, empty } = this.#bounds.refillMs
    const pauseMs = this.#idle.length > 0 ? others : empty
    if (pauseMs === 0) this.#fill()
    else this.#refill ??= setTimeout(() => this.#fill(), pauseMs)
  }

  #add(): void {
    this.#preparing++
    this.#prepare().then(
      (sandbox) => {
        this.#preparing--
        this.#succeeded()
        this.#offer(sandbox)
      },
      (error: Error) => {
        this.#preparing--
        this.#failed(error)
      },
    )
  }

  #offer(sandbox: S): void {
    const waiting = this.#waiting.shift()
    if (waiting) waiting.resolve(sandbox)
    else if (this.#closed || this.#idle.length >= this.#target) sandbox[Symbol.dispose]()
    else this.#keep(sandbox)
    if (waiting && this.#waiting.length === 0) this.#refillLater()
    else this.#fill()
  }

  #keep(sandbox: S): void {
    this.#idle.push(sandbox)
    const broke = () => {
      const at = this.#idle.indexOf(sandbox)
      if (at < 0) return
      this.#idle.splice(at, 1)
      sandbox[Symbol.dispose]()
      this.#fill()
    }
    sandbox.lost.catch(broke)
    sandbox.agent.broken.catch(broke)
    this.#rehearseLater(sandbox, broke)
  }

  #rehearseLater(sandbox: S, broke: () => void): void {
    const rehearse = () => {
      if (this.#idle.includes(sandbox)) sandbox.rehearse?.().catch(broke)
    }
    if (sandbox.rehearse) setTimeout(rehearse, restMs).unref()
  }

  #succeeded(): void {
    this.#retryMs = firstRetryMs
    this.#healthy?.resolve()
    this.#healthy = undefined
    if (this.#problem === undefined) return
    this.#problem = undefined
    this.#onChange(undefined)
  }

  #failed(error: Error): void {
    if (this.#closed) return
    const isNews = this.#problem !== error.message
    this.#healthy ??= new Deferred()
    this.#problem = error.message
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined
      // A worker in trouble is given no runs, so nobody may want one more: yet only a try tells that the trouble is over.
      if (this.#preparing === 0) this.#add()
      else this.#fill()
    }, this.#retryMs)
    this.#retryMs = Math.min(this.#retryMs * 2, lastRetryMs)
    if (isNews) this.#onChange(error)
  }

  /** What lay idle all through the last while was not needed: half of it goes. */
  #shrink(): void {
    const spare = Math.ceil(this.#leastIdle / 2)
    this.#leastIdle = this.#idle.length
    this.#target = Math.max(this.#target - spare, this.#bounds.least)
    for (const sandbox of this.#idle.splice(this.#target)) sandbox[Symbol.dispose]()
  }
}
