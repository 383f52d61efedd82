// What a worker is handed while its request for a job stands (lua/include/handover.lua). A message that is lost with the connection is no
// loss: the request's token, asked with again, gets the same answer.
import type { Redis } from 'ioredis'
import type { QueueName } from '../proto/job.js'
import { handoverChannel } from '../proto/keys.js'
import { type ClaimedRun, claimedRun } from './take.js'

/** `run`: undefined where the job that was added turned out to be pointless. */
type Listener = (token: string, run: ClaimedRun | undefined) => void

export class Handovers {
  readonly #redis: Redis
  readonly #channel: string

  /** Over a connection of its own. */
  constructor(redis: Redis, workerId: string, queue: QueueName, listener: Listener) {
    this.#redis = redis
    this.#channel = handoverChannel(workerId, queue)
    redis.on('messageBuffer', (_channel: Buffer, message: Buffer) => {
      const [token = Buffer.alloc(0), ...rest] = words(message)
      listener(token.toString(), claimedRun(rest))
    })
  }

  /** From now on, and after each loss of the connection again. */
  async listen(): Promise<void> {
    // ioredis sends SUBSCRIBE before it has found the connection ready, which it then cannot: it connects anew, and forgets the subscription.
    await this.#redis.ping()
    await this.#redis.subscribe(this.#channel)
  }

  close(): void {
    this.#redis.disconnect()
  }
}

/** Each with its length before it, in four bytes. */
function words(message: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let at = 0; at < message.length; ) {
    const end = at + 4 + message.readUInt32BE(at)
    found.push(message.subarray(at + 4, end))
    at = end
  }
  return found
}
