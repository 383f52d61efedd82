// The living workers, as they were a moment ago: so that a submit does not wait for another round trip.
import type { caisson } from '../proto/messages.js'
import type { Workers } from '../redis/workers.js'

const freshMs = 1_000

export class Living {
  #workers: caisson.v1.Worker[] = []
  #readAt = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | undefined

  constructor(private readonly workers: Workers) {}

  /** Not older than a second, where calls come that often; what is older is renewed beside the call that finds it so. */
  async recent(): Promise<caisson.v1.Worker[]> {
    const age = performance.now() - this.#readAt
    if (age > freshMs) void this.#read().catch(() => {})
    if (age > 2 * freshMs) await this.#read()
    return this.#workers
  }

  /** As they are now: nothing is refused for what a worker was a moment ago. */
  async now(): Promise<caisson.v1.Worker[]> {
    await this.#read()
    return this.#workers
  }

  #read(): Promise<void> {
    this.#reading ??= this.workers
      .list()
      .then((workers) => {
        this.#workers = workers
        this.#readAt = performance.now()
      })
      .finally(() => {
        this.#reading = undefined
      })
    return this.#reading
  }
}
