// The worker's word to control: that it lives, and what it offers.
import { hostname } from 'node:os'
import type { caisson } from '../proto/messages.js'
import { timestamp } from '../redis/events.js'
import { heartbeatMs, type Workers } from '../redis/workers.js'
import type { Host } from './host.js'

export class Presence {
  readonly #host: Host
  readonly #workers: Workers
  readonly #maximum: caisson.v1.ILimits
  readonly #offers: () => caisson.v1.IBackendOffer[]
  readonly #timer: NodeJS.Timeout
  #draining = false
  #telling: Promise<void> | undefined
  #isStale = false

  constructor(host: Host, workers: Workers, maximum: caisson.v1.ILimits, offers: () => caisson.v1.IBackendOffer[]) {
    this.#host = host
    this.#workers = workers
    this.#maximum = maximum
    this.#offers = offers
    this.#timer = setInterval(() => this.tell(), heartbeatMs)
  }

  /** Now, for something changed. One word is under way at a time, so that none pile up while Redis is away. */
  tell(): void {
    this.#isStale = this.#telling !== undefined
    this.#telling ??= this.#tell()
  }

  /** The latest word is with Redis. */
  async told(): Promise<void> {
    this.tell()
    while (this.#telling) await this.#telling
  }

  drain(): void {
    this.#draining = true
    this.tell()
  }

  /** Nothing of this worker is left in Redis. */
  async leave(): Promise<void> {
    clearInterval(this.#timer)
    await this.#telling
    await this.#workers.leave(this.#workerId)
  }

  async #tell(): Promise<void> {
    try {
      await this.#workers.heartbeat(this.#worker())
    } catch (error) {
      this.#host.log.error('Redis refused the heartbeat', error)
    }
    this.#telling = undefined
    if (this.#isStale) this.tell()
  }

  get #workerId(): string {
    return this.#host.placement.workerId ?? ''
  }

  #worker(): caisson.v1.IWorker {
    const { capacity } = this.#host
    return {
      workerId: this.#workerId,
      hostname: hostname(),
      offers: this.#offers(),
      maximum: this.#maximum,
      cpuMillisFree: capacity.free.cpuMillis,
      memoryBytesFree: capacity.free.memoryBytes,
      activeRuns: capacity.active,
      seenAt: timestamp(Date.now()),
      draining: this.#draining,
      receiptKey: this.#host.receiptKey.publicKey,
    }
  }
}
