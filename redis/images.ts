// The images that each worker has prepared, for HostService.ListImages.
import type { Redis } from 'ioredis'
import type { caisson } from '../proto/messages.js'

export declare class Images {
  constructor(redis: Redis)
  publish(workerId: string, image: caisson.v1.IImage): Promise<void>
  retract(workerId: string, reference: string): Promise<void>
  /** Newest use first; those of living workers only. */
  list(): Promise<caisson.v1.Image[]>
}
