// Which workers live, and what they offer.
import type { Redis } from 'ioredis'
import type { caisson } from '../proto/messages.js'

export const heartbeatMs = 2_000
export const heartbeatExpiryMs = 8_000

export declare class Workers {
  constructor(redis: Redis)
  /** A worker calls this every heartbeatMs, and at once when what it offers changes. `worker_id` is new with every start of a process. */
  heartbeat(worker: caisson.v1.IWorker): Promise<void>
  /** After a drain: nothing is left behind. */
  leave(workerId: string): Promise<void>
  list(): Promise<caisson.v1.Worker[]>
}
