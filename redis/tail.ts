// Following many streams through one blocking XREAD.
import type { Redis } from 'ioredis'

export interface Entry {
  id: string
  fields: Map<string, Buffer>
}

/** `tail` is a connection of its own, which blocks; `waker` is any other connection to the same Redis. */
export declare class StreamTail {
  constructor(tail: Redis, waker: Redis)
  /** Entries after `afterId` ("0" for all), as they come, until the signal. A stream whose consumer does not wait for more is not read. */
  follow(key: string, afterId: string, signal: AbortSignal): AsyncIterable<Entry[]>
  close(): void
}
