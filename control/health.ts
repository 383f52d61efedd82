// grpc.health.v1: SERVING while Redis answers.
import { setTimeout as sleep } from 'node:timers/promises'
import { HealthImplementation } from 'grpc-health-check'
import type { Redis } from 'ioredis'
import * as log from './log.js'

const services = ['', 'caisson.v1.RunService', 'caisson.v1.HostService', 'caisson.v1.ImageService']
const askEveryMs = 1_000

export class Health {
  readonly implementation = new HealthImplementation(Object.fromEntries(services.map((name) => [name, 'NOT_SERVING'])))
  #serving = false

  constructor(private readonly redis: Redis) {
    redis.on('close', () => this.#tell(false))
  }

  /** Until the signal. A Redis that is there but does not answer is found by asking. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const answers = await this.redis.ping().then(
        () => true,
        () => false,
      )
      if (!signal.aborted) this.#tell(answers)
      await sleep(askEveryMs, undefined, { signal }).catch(() => {})
    }
    this.#tell(false)
  }

  #tell(serving: boolean): void {
    if (serving === this.#serving) return
    this.#serving = serving
    for (const name of services) this.implementation.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING')
    log.info(serving ? 'serving: Redis answers' : 'not serving')
  }
}
