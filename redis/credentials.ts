// The sealed registry credential of a run, as its worker reads it.
import type { Redis } from 'ioredis'
import { credentialKey, runKey } from '../proto/keys.js'

export class Credentials {
  constructor(private readonly redis: Redis) {}

  /** 'none': the run came without one. 'lost': it waited too long, or its program has started. */
  async of(runId: string): Promise<Buffer | 'none' | 'lost'> {
    const [sealed, had] = await Promise.all([
      this.redis.getBuffer(credentialKey(runId)),
      this.redis.hexists(runKey(runId), 'credential'),
    ])
    return sealed ?? (had === 1 ? 'lost' : 'none')
  }
}
