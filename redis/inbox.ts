// What a client sends to its run: input, end of input, signals, the wish to cancel.
import type { Redis } from 'ioredis'
import type { StreamTail } from './tail.js'

export type Message =
  | { kind: 'data'; id: string; offset: number; data: Uint8Array }
  | { kind: 'end'; id: string }
  | { kind: 'signal'; id: string; signal: number }
  | { kind: 'cancel'; id: string }

export declare class Inbox {
  constructor(redis: Redis, tail: StreamTail)
  /** Worker: every message of the run in order, those from before the claim included. */
  messages(runId: string, signal: AbortSignal): AsyncIterable<Message>
  /**
   * Worker: the program's input is taken up to `bytes` (of the whole input), and messages up to `lastId` are done with. They are
   * removed, which lets the client send more. False: the attempt is no longer the run's.
   */
  taken(runId: string, attempt: number, bytes: number, lastId: string): Promise<boolean>
}
