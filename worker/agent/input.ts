import type { caisson } from '../../proto/messages.js'
import { Deferred } from '../deferred.js'
import { Credit } from './credit.js'
import { maxChunkBytes } from './violation.js'

/** The way to a process's stdin: as fast as the agent gives credit, which is as fast as the program reads. */
export class Input {
  readonly #send: (input: caisson.agent.v1.IInput) => void
  readonly #credit: Credit
  #offset = 0
  #closed = false
  #moved: Deferred<void> | undefined

  constructor(credit: number, send: (input: caisson.agent.v1.IInput) => void) {
    this.#credit = new Credit(credit)
    this.#send = send
  }

  /** Resolves when all of `data` is with the agent, or nobody will ever read it. One call at a time. */
  async write(data: Uint8Array): Promise<void> {
    let at = 0
    while (at < data.length && !this.#closed) {
      const part = data.subarray(at, at + Math.min(this.#credit.left, maxChunkBytes))
      if (part.length === 0) {
        this.#moved = new Deferred()
        await this.#moved.promise
        continue
      }
      this.#credit.spend(part.length)
      this.#send({ offset: this.#offset, data: part })
      this.#offset += part.length
      at += part.length
    }
  }

  end(): void {
    if (this.#closed) return
    this.#send({ offset: this.#offset, end: true })
    this.close()
  }

  /** False: the agent took more than was sent. */
  taken(bytes: number): boolean {
    if (!this.#credit.grant(bytes)) return false
    this.#wake()
    return true
  }

  /** Whatever comes from now on is dropped. */
  close(): void {
    this.#closed = true
    this.#wake()
  }

  #wake(): void {
    this.#moved?.resolve()
    this.#moved = undefined
  }
}
