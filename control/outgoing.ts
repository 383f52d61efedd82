// What goes out to one watcher, at its own pace.
import type { ServerWritableStream } from '@grpc/grpc-js'
import { Refusal } from '../proto/reason.js'
import type { Gathered } from '../redis/command.js'

/** Encoded, one after the other: they go out in one frame, which costs us one system call, and the client one wake-up. */
export type Messages = readonly Gathered[]

/** On the way to a client that does not read; its flow control window comes on top. */
const mostUnsentBytes = 512 << 10
/** News that can wait does so for this long: most of a short run is told in one write, and wakes its client once. */
const heldMs = 20

export class Outgoing {
  #unsentBytes = 0
  /** Several may write at once. */
  #waiting: (() => void)[] = []
  #held: Messages = []
  #heldTimer: NodeJS.Timeout | undefined

  constructor(
    private readonly call: ServerWritableStream<unknown, Messages>,
    /** Aborted when the client is gone. */
    private readonly gone: AbortSignal,
  ) {
    gone.addEventListener('abort', () => this.#resume(), { once: true })
  }

  /** They go out with what is written next, or in a moment. */
  hold(messages: Messages): void {
    this.#held = [...this.#held, ...messages]
    this.#heldTimer ??= setTimeout(() => this.flush(), heldMs)
  }

  /** What is held goes out now. */
  flush(): void {
    if (this.#held.length > 0) void this.write([])
  }

  /** Resolves when more may be written. Bytes are counted, for the stream itself counts messages only. `sent`: they are no longer needed. */
  async write(further: Messages, sent: () => void = () => {}): Promise<void> {
    const messages = this.#held.length > 0 ? [...this.#held, ...further] : further
    this.#held = []
    clearTimeout(this.#heldTimer)
    this.#heldTimer = undefined
    // Control that stops says what it has.
    if (this.gone.aborted && !(this.gone.reason instanceof Refusal)) return
    const bytes = messages.reduce((sum, { length }) => sum + length, 0)
    this.#unsentBytes += bytes
    this.call.write(messages, () => {
      sent()
      this.#unsentBytes -= bytes
      if (this.#unsentBytes <= mostUnsentBytes / 2) this.#resume()
    })
    if (this.#unsentBytes > mostUnsentBytes) await this.#drained()
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #resume(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
