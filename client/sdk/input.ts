// A run's input, kept until the service has recorded it: so a stream that breaks is replaced, and no byte is lost or doubled.
//
// Attach answers only when its stream ends. So the input goes in segments, one stream each; between two of them the service says how much
// it has recorded, and what is kept here shrinks to nothing.

import type { caisson } from '../../proto/messages.js'
import type { Connection, WriteStream } from './connection.js'
import { CaissonError } from './error.js'
import { methods } from './methods.js'
import { Window } from './window.js'

const segmentBytes = 4 << 20
const messageBytes = 256 << 10

export class Input {
  readonly #window = new Window(segmentBytes)
  readonly #done: Promise<void>
  #stream: AttachStream | undefined
  #endSent = false
  readonly #stop = new AbortController()

  constructor(
    private readonly connection: Connection,
    private readonly runId: string,
    signal?: AbortSignal,
  ) {
    const stop = () => this.#stop.abort(signal?.reason)
    if (signal?.aborted) stop()
    signal?.addEventListener('abort', stop, { once: true })
    this.#stop.signal.addEventListener('abort', () => this.#stream?.call.cancel(), { once: true })
    this.#done = this.#send().finally(() => signal?.removeEventListener('abort', stop))
    this.#done.catch((error) => this.#window.fail(error))
  }

  /**
   * Any size; the bytes are kept by reference until they are recorded. Resolves when more may be written: a program that does not read
   * holds its writer back. Rejects when the run takes no input (any more).
   */
  write(data: Uint8Array): Promise<void> {
    return this.#window.append(data)
  }

  /** The program reads end of file after what was written. Resolves when all of it is recorded. */
  async end(): Promise<void> {
    this.#window.end()
    await this.#done
  }

  /** Gives up; the input stays open for another attach. */
  close(): void {
    this.#stop.abort(new CaissonError('CANCELLED', 'the input was closed'))
  }

  async #send(): Promise<void> {
    const patience = this.connection.patience(this.#stop.signal)
    for (;;) {
      try {
        // A stream is opened only when there is something to say: end of an empty input too.
        await this.#window.readable(this.#window.start, this.#stop.signal)
        if (await this.#segment()) return
        patience.renew()
      } catch (error) {
        // The end was recorded, and only its answer was lost.
        if (this.#endSent && error instanceof CaissonError && error.reason === 'INPUT_ENDED') return
        await patience.orThrow(error)
      }
    }
  }

  /** Sends one segment; true when end of input is recorded. */
  async #segment(): Promise<boolean> {
    const stream = this.connection.writeStream(methods.attach)
    this.#stream = stream
    try {
      const { offset, ended } = await this.#fill(stream)
      stream.call.end()
      const { acceptedBytes } = await stream.answer
      if (acceptedBytes < offset)
        throw new CaissonError('DATA_LOSS', `the service recorded ${acceptedBytes} of ${offset} bytes of input`)
      this.#window.release(acceptedBytes)
      return ended
    } finally {
      this.#stream = undefined
      stream.call.cancel()
    }
  }

  /** Writes from the window's start until the segment or the input is at its end; returns how far it came. */
  async #fill({ call, answer }: AttachStream): Promise<{ offset: number; ended: boolean }> {
    const answered = answer.then(() => 'answered' as const)
    // One message on its way at a time: what is written meanwhile goes into the next one, and few large messages cost the service less.
    const write = (message: caisson.v1.IAttachRequest) => Promise.race([sent(call, message), answered])
    let offset = this.#window.start
    let runId: { runId: string } | undefined = { runId: this.runId }
    while (offset - this.#window.start < segmentBytes && !this.#window.exhausted(offset)) {
      const more = await Promise.race([this.#window.readable(offset, this.#stop.signal), answered])
      if (more === 'answered') return { offset, ended: false }
      if (!more) {
        this.#endSent = true
        await write({ ...runId, end: true })
        return { offset, ended: true }
      }
      const data = this.#window.read(offset, messageBytes)
      await write({ ...runId, offset, data })
      runId = undefined
      offset += data.length
    }
    return { offset, ended: false }
  }
}

type AttachStream = WriteStream<caisson.v1.IAttachRequest, caisson.v1.AttachResponse>

const sent = (call: AttachStream['call'], message: caisson.v1.IAttachRequest): Promise<void> =>
  new Promise((resolve) => call.write(message, () => resolve()))
