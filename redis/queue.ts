// BullMQ's queues as the producer sees them. A worker makes its own `new Worker(queueName, …, workerOptions)`.
import type { Redis } from 'ioredis'

/** One BullMQ queue per backend over one connection. */
export declare class Queues {
  constructor(redis: Redis)
  ready(): Promise<void>
  close(): Promise<void>
}
