// The images that each worker has prepared, for HostService.ListImages.
import type { Redis } from 'ioredis'
import { workerImagesKey } from '../proto/keys.js'
import { caisson } from '../proto/messages.js'
import { asBuffer, milliseconds } from './events.js'
import { Workers } from './workers.js'

const { Image } = caisson.v1

export class Images {
  readonly #workers: Workers

  constructor(private readonly redis: Redis) {
    this.#workers = new Workers(redis)
  }

  async publish(workerId: string, image: caisson.v1.IImage): Promise<void> {
    const encoded = asBuffer(Image.encode({ ...image, workerId }).finish())
    await this.redis.hset(workerImagesKey(workerId), image.reference ?? '', encoded)
  }

  async retract(workerId: string, reference: string): Promise<void> {
    await this.redis.hdel(workerImagesKey(workerId), reference)
  }

  /** Newest use first; those of living workers only. */
  async list(): Promise<caisson.v1.Image[]> {
    const workers = await this.#workers.list()
    const hashes = await Promise.all(workers.map(({ workerId }) => this.redis.hgetallBuffer(workerImagesKey(workerId))))
    const images = hashes.flatMap((hash) => Object.values(hash).map((bytes) => Image.decode(bytes)))
    return images.sort((a, b) => milliseconds(b.usedAt ?? {}) - milliseconds(a.usedAt ?? {}))
  }
}
