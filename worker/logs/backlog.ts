// Output that waits for its turn to be written. Pure.
import type { caisson } from '../../proto/messages.js'

type Stream = caisson.agent.v1.Stream

/** Of one Output event (run.proto). */
const maxEventBytes = 256 * 1024
/** Of one report to Redis: large enough for throughput, small enough that other runs' reports pass between. */
const maxBatchBytes = 1 << 20

export interface Chunk {
  stream: Stream
  offset: number
  data: Uint8Array
  timeMs: number
}

interface Waiting extends Omit<Chunk, 'data'> {
  parts: Uint8Array[]
  bytes: number
}

/** Neighbours of one stream become one chunk while they wait; the order between streams stays as it came. */
export class Backlog {
  #waiting: Waiting[] = []

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  add({ data, ...chunk }: Chunk): void {
    const last = this.#waiting.at(-1)
    if (last?.stream === chunk.stream && last.bytes + data.length <= maxEventBytes) {
      last.parts.push(data)
      last.bytes += data.length
    } else {
      this.#waiting.push({ ...chunk, parts: [data], bytes: data.length })
    }
  }

  /** The oldest of what waits, up to the size of a report. */
  take(): Chunk[] {
    let bytes = 0
    const beyond = this.#waiting.findIndex((chunk) => {
      bytes += chunk.bytes
      return bytes > maxBatchBytes
    })
    const taken = this.#waiting.splice(0, beyond < 0 ? this.#waiting.length : beyond)
    return taken.map(({ parts, bytes: _, ...chunk }) => ({ ...chunk, data: joined(parts) }))
  }

  clear(): void {
    this.#waiting = []
  }
}

const joined = (parts: Uint8Array[]): Uint8Array => (parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts))
