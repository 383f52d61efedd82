// What goes out to one watcher, at its own pace.
import type { ServerWritableStream } from '@grpc/grpc-js'
import type { Gathered } from '../redis/command.js'

/** Encoded. */
export type Message = Buffer | Gathered

/** On the way to a client that does not read; its flow control window comes on top. */
const mostUnsentBytes = 512 << 10

export class Outgoing {
  #unsentBytes = 0
  /** Several may write at once. */
  #waiting: (() => void)[] = []

  constructor(
    private readonly call: ServerWritableStream<unknown, Message>,
    /** Aborted when the client is gone. */
    private readonly gone: AbortSignal,
  ) {
    gone.addEventListener('abort', () => this.#resume(), { once: true })
  }

  /** Resolves when more may be written. Bytes are counted, for the stream itself counts messages only. `sent`: it is no longer needed. */
  async write(message: Message, sent: () => void = () => {}): Promise<void> {
    if (this.gone.aborted) return
    this.#unsentBytes += message.length
    this.call.write(message, () => {
      sent()
      this.#unsentBytes -= message.length
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
