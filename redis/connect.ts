import { Redis, type RedisOptions } from 'ioredis'
import { TailConnection } from './tailConnection.js'

/**
 * patient: commands wait for Redis to come back, and those without an answer are sent again (workers, tails, BullMQ).
 * failFast: commands fail at once while Redis is away, and are not sent later (gRPC calls, which answer UNAVAILABLE).
 */
export type Patience = 'patient' | 'failFast'

const patience: Record<Patience, RedisOptions> = {
  patient: { maxRetriesPerRequest: null, enableOfflineQueue: true, autoResendUnfulfilledCommands: true },
  failFast: { maxRetriesPerRequest: 0, enableOfflineQueue: false, autoResendUnfulfilledCommands: false, commandTimeout: 5_000 },
}

/**
 * `address`: redis://…, rediss://…, unix:///PATH or an absolute path of a unix socket. `name` shows in CLIENT LIST. `ca`: who alone may have
 * signed the certificate of rediss://.
 */
export function connect(address: string, name: string, kind: Patience, ca?: string): Redis {
  const options: RedisOptions = {
    ...patience[kind],
    connectionName: `caisson-${name}`,
    connectTimeout: 5_000,
    retryStrategy: (times) => Math.min(50 * times, 1_000),
    // A replica that was a primary a moment ago: the new primary is reached by connecting again.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    ...authority(ca),
  }
  const path = socketPath(address)
  const redis = path === undefined ? new Redis(address, options) : new Redis({ ...options, path })
  // Every command reports its own failure, and a connection that is lost is made anew; without a listener ioredis prints each try.
  redis.on('error', () => {})
  return redis
}

/** For a StreamTail, which asks again by itself, for what it wants by then. */
export function connectTail(address: string, name: string, ca?: string): TailConnection {
  const path = socketPath(address)
  const options = path === undefined ? new Redis(address, { lazyConnect: true, ...authority(ca) }).options : { path }
  return new TailConnection(options, `caisson-${name}`)
}

export const authority = (ca: string | undefined): RedisOptions => (ca === undefined ? {} : { tls: { ca } })

function socketPath(address: string): string | undefined {
  if (address.startsWith('/')) return address
  return address.startsWith('unix://') ? address.slice('unix://'.length) : undefined
}

/** Whether a command failed because Redis could not be reached or did not answer, rather than by what it answered. */
export function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error.name === 'ReplyError') return /^(LOADING|MASTERDOWN|CLUSTERDOWN|READONLY|MISCONF)\b/.test(error.message)
  if (error.name === 'MaxRetriesPerRequestError' || error.name === 'AbortError') return true
  return /Connection is closed|isn't writeable|Command timed out|ECONN|EPIPE|ENOENT|ETIMEDOUT/.test(error.message)
}

/** Whether Redis refused a write because its memory is used up. */
export const isFull = (error: unknown): boolean =>
  error instanceof Error && error.name === 'ReplyError' && /(^|\s)-?OOM /.test(error.message)
