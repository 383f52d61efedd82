// Which workers live, and what they offer.
import type { Redis } from 'ioredis'
import { errandsKey, workerKey, workerRunsKey, workersKey } from '../proto/keys.js'
import { caisson } from '../proto/messages.js'
import { asBuffer } from './events.js'
import { Scripts } from './scripts.js'

const { Worker } = caisson.v1

export const heartbeatMs = 2_000
export const heartbeatExpiryMs = 8_000

export class Workers {
  readonly #scripts: Scripts

  constructor(private readonly redis: Redis) {
    this.#scripts = new Scripts(redis)
  }

  /** A worker calls this every heartbeatMs, and at once when what it offers changes. `worker_id` is new with every start of a process. */
  async heartbeat(worker: caisson.v1.IWorker): Promise<void> {
    const workerId = worker.workerId ?? ''
    const encoded = asBuffer(Worker.encode(worker).finish())
    await Promise.all([
      this.redis.sadd(workersKey, workerId),
      this.redis.set(workerKey(workerId), encoded, 'PX', heartbeatExpiryMs),
    ])
  }

  /** After a drain: nothing of the worker is left, unless it has left runs behind (then the sweeper ends those first). */
  async leave(workerId: string): Promise<void> {
    await this.#leave(workerId, '1')
  }

  /** A worker without heartbeat and without runs is forgotten; false while it has either. */
  async forget(workerId: string): Promise<boolean> {
    return (await this.#leave(workerId, '')) === 1
  }

  /** Living ones. */
  async list(): Promise<caisson.v1.Worker[]> {
    const ids = await this.redis.smembers(workersKey)
    const found = await this.#heartbeats(ids)
    return found.filter((bytes) => bytes !== null).map((bytes) => Worker.decode(bytes))
  }

  /** Those whose heartbeat has expired. */
  async lost(): Promise<string[]> {
    const ids = await this.redis.smembers(workersKey)
    const found = await this.#heartbeats(ids)
    return ids.filter((_, i) => found[i] === null)
  }

  /** Runs that a worker has claimed and not ended. */
  runs(workerId: string): Promise<string[]> {
    return this.redis.smembers(workerRunsKey(workerId))
  }

  /** Of a run that is not that worker's any more. */
  async disown(workerId: string, runId: string): Promise<void> {
    await this.redis.srem(workerRunsKey(workerId), runId)
  }

  async #heartbeats(ids: string[]): Promise<(Buffer | null)[]> {
    return ids.length === 0 ? [] : await this.redis.mgetBuffer(...ids.map(workerKey))
  }

  #leave(workerId: string, byItself: string): Promise<unknown> {
    const keys = [workerKey(workerId), workerRunsKey(workerId), errandsKey(workerId), workersKey]
    return this.#scripts.call('leave', keys, [workerId, byItself])
  }
}
