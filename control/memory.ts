// Whether Redis has room for new runs. They are refused at three quarters of its memory, so that what runs already can end: with its output,
// its verdict, and everything that others still write.
import type { Redis } from 'ioredis'
import { Refusal } from '../proto/reason.js'

export interface MemoryUse {
  usedBytes: number
  /** maxmemory; without one, half of the machine's. */
  limitBytes: number
}

const refusedAt = 3 / 4
const freshMs = 1_000
/** What a run costs beyond its spec: record, first events, job, its places in the indices. */
const runBytes = 8 << 10

export function hasRoom({ usedBytes, limitBytes }: MemoryUse, acceptedSinceBytes: number): boolean {
  return usedBytes + acceptedSinceBytes < limitBytes * refusedAt
}

export function parseMemoryInfo(info: string): MemoryUse {
  const value = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  const limit = value('maxmemory') || value('total_system_memory') / 2 || Number.POSITIVE_INFINITY
  return { usedBytes: value('used_memory'), limitBytes: limit }
}

export class Memory {
  #use: MemoryUse = { usedBytes: 0, limitBytes: Number.POSITIVE_INFINITY }
  #readAt = Number.NEGATIVE_INFINITY
  #accepted = 0

  constructor(private readonly redis: Redis) {}

  /** Throws when there is no room for a run of this size; counts it otherwise. Asks Redis once a second, and before it refuses. */
  async take(specBytes: number): Promise<void> {
    const bytes = specBytes * 2 + runBytes
    if (performance.now() - this.#readAt > freshMs || !hasRoom(this.#use, this.#accepted + bytes)) await this.#read()
    if (!hasRoom(this.#use, this.#accepted + bytes)) {
      const { usedBytes, limitBytes } = this.#use
      throw new Refusal(
        'REDIS_MEMORY',
        `Redis uses ${usedBytes} of ${limitBytes} bytes: new runs are refused until there is room`,
      )
    }
    this.#accepted += bytes
  }

  async #read(): Promise<void> {
    const use = parseMemoryInfo(await this.redis.info('memory'))
    this.#use = use
    this.#accepted = 0
    this.#readAt = performance.now()
  }
}
