// Decides whether a failed call is tried again, and waits before it is.

import { setTimeout as sleep } from 'node:timers/promises'
import { fromServiceError, isTransportFailure } from './error.js'

const firstWaitMs = 50
const longestWaitMs = 2000

export class Patience {
  #lastSign = Date.now()
  #failures = 0

  constructor(
    private readonly patienceMs: number,
    private readonly worked: () => boolean,
    private readonly signal?: AbortSignal,
  ) {}

  /** The service is there: the next failure is the first again. */
  renew(): void {
    this.#lastSign = Date.now()
    this.#failures = 0
  }

  /** Returns when it is time to try again; throws the error when it is not worth it, or the signal's reason when that fired. */
  async orThrow(error: unknown): Promise<void> {
    this.signal?.throwIfAborted()
    const failure = fromServiceError(error)
    if (!isTransportFailure(failure)) throw failure
    if (failure.reason === '' && !this.worked()) throw failure
    if (Date.now() - this.#lastSign > this.patienceMs) throw failure
    const wait = Math.min(longestWaitMs, firstWaitMs * 2 ** this.#failures++)
    // Not all clients of a service that restarts come back in the same moment.
    await sleep(wait * (0.5 + Math.random() / 2), undefined, this.signal ? { signal: this.signal } : {}).catch(() => {})
    this.signal?.throwIfAborted()
  }
}
