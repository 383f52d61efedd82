// One holder at a time, as long as it renews.
import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { Scripts } from './scripts.js'

export class Lease {
  readonly #scripts: Scripts
  readonly #holder = randomBytes(12).toString('base64url')

  constructor(
    redis: Redis,
    private readonly key: string,
    private readonly ms: number,
  ) {
    this.#scripts = new Scripts(redis)
  }

  /** Takes or keeps it; false: another has it. */
  async hold(): Promise<boolean> {
    return (await this.#scripts.call('lease', [this.key], [this.#holder, this.ms])) === 1
  }

  async release(): Promise<void> {
    await this.#scripts.call('lease', [this.key], [this.#holder, 0])
  }
}
