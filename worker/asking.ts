// Requests of a worker that are under way at the same time have one token: Redis keeps the answer to the last token alone, and of two that
// are sent again after a lost connection the older one would not find its own.
import { Deferred } from './deferred.js'

export class Asking {
  #token = ''
  #unanswered = 0
  #answered = new Deferred<void>()

  /** Whether a request with this token may be sent now. */
  mayAsk(token: string): boolean {
    return this.#unanswered === 0 || this.#token === token
  }

  /** Until none is under way. */
  async untilAnswered(): Promise<void> {
    await this.#answered.promise
  }

  async ask<T>(token: string, send: () => Promise<T>): Promise<T> {
    this.#token = token
    this.#unanswered++
    try {
      return await send()
    } finally {
      if (--this.#unanswered === 0) {
        this.#answered.resolve()
        this.#answered = new Deferred()
      }
    }
  }
}
