import type { Failure } from '../proto/reason.js'
import { failureOf } from './failure.js'
import { unlessAborted } from './within.js'

/** Why an attempt is to end before its program does: the first reason is kept. */
export class Stop {
  readonly #controller = new AbortController()
  #failure: Failure | undefined

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get failure(): Failure | undefined {
    return this.#failure
  }

  /** False: there was a reason before. */
  now(cause: unknown): boolean {
    if (this.#failure) return false
    this.#failure = failureOf(cause)
    this.#controller.abort(this.#failure)
    return true
  }

  /** In `ms`, unless that is disposed of before. */
  after(ms: number, failure: () => Failure): Disposable {
    const timer = setTimeout(() => this.now(failure()), Math.max(0, ms))
    return { [Symbol.dispose]: () => clearTimeout(timer) }
  }

  /** Settles as `promise` does, unless the stop comes first. */
  unless<T>(promise: Promise<T>): Promise<T> {
    return unlessAborted(promise, this.signal)
  }
}
