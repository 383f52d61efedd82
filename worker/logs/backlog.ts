// Output that waits for its turn to be written, and that which was not acknowledged yet.
import type { caisson } from '../../proto/messages.js'
import { Gathered } from '../../redis/command.js'
import { ByteQueue } from './bytes.js'

type Stream = caisson.agent.v1.Stream

/** Of one Output event (run.proto). */
const maxEventBytes = 256 * 1024
/** Of one report to Redis: large enough for throughput, small enough that the program writes on while one is under way. */
const maxBatchBytes = 512 * 1024

export interface Chunk {
  stream: Stream
  offset: number
  timeMs: number
  data: Gathered
}

interface Waiting extends Omit<Chunk, 'data'> {
  bytes: number
}

/** Neighbours of one stream become one chunk while they wait; the order between streams stays as it came. */
export class Backlog {
  readonly #bytes = new ByteQueue()
  #waiting: Waiting[] = []

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** Keeps a copy of `data`. */
  add(data: Uint8Array, chunk: Omit<Chunk, 'data'>): void {
    this.#bytes.push(data)
    const last = this.#waiting.at(-1)
    if (last?.stream === chunk.stream && last.bytes + data.length <= maxEventBytes) last.bytes += data.length
    else this.#waiting.push({ ...chunk, bytes: data.length })
  }

  /** The oldest of what waits, up to the size of a report. Its bytes are kept until they are released. */
  take(): Chunk[] {
    let bytes = 0
    const beyond = this.#waiting.findIndex((chunk) => {
      bytes += chunk.bytes
      return bytes > maxBatchBytes
    })
    const taken = this.#waiting.splice(0, beyond < 0 ? this.#waiting.length : beyond)
    return taken.map(({ bytes, ...chunk }) => ({ ...chunk, data: new Gathered(this.#bytes.take(bytes)) }))
  }

  /** What was taken first is stored, and its bytes are of no more use to anybody. */
  release({ data }: Chunk): void {
    this.#bytes.release(data.length)
  }

  /** Of what waits nothing is taken any more. */
  clear(): void {
    this.#waiting = []
    this.#bytes.abandon()
  }
}
