// The Redis of an instance, and what any Redis promises about what it was told.

import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { authority } from '../../redis/connect.js'

/** Every acknowledged write is on disk before it is acknowledged, and nothing is ever evicted: an acknowledged run cannot be lost. */
export function redisArgs(socket: string, dataFolder: string, maxMemoryBytes: number): string[] {
  const settings = {
    port: '0',
    unixsocket: socket,
    // Control and worker are in its group.
    unixsocketperm: '770',
    dir: dataFolder,
    appendonly: 'yes',
    appendfsync: 'always',
    save: '',
    maxmemory: String(maxMemoryBytes),
    'maxmemory-policy': 'noeviction',
    // The file is rewritten when it has doubled since: of a small one, as compression makes it, that is again and again while a run writes much.
    rdbcompression: 'no',
    'auto-aof-rewrite-min-size': '128mb',
    daemonize: 'no',
    logfile: '',
  }
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
}

/** Resolves when it answers; while it still loads its file it does not. */
export async function redisAnswers(address: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    if (await pings(address)) return
    await sleep(20, undefined, { signal }).catch(() => {})
  }
}

async function pings(address: string): Promise<boolean> {
  const redis = connectOnce(address)
  try {
    await redis.connect()
    await redis.ping()
    return true
  } catch {
    return false
  } finally {
    redis.disconnect()
  }
}

export interface RedisPromise {
  version: string
  /** Undefined: this Redis does not tell (CONFIG is not allowed). */
  appendonly?: string
  appendfsync?: string
  maxmemoryPolicy?: string
  maxmemoryBytes?: number
}

/** Throws when it cannot be reached. */
export async function askRedisPromise(address: string, ca?: string): Promise<RedisPromise> {
  const redis = connectOnce(address, ca)
  try {
    await redis.connect()
    const version = /^redis_version:(.*?)\r?$/m.exec(await redis.info('server'))?.[1] ?? 'unknown'
    const config = await readConfig(redis)
    return { version, ...config }
  } finally {
    redis.disconnect()
  }
}

async function readConfig(redis: Redis): Promise<Omit<RedisPromise, 'version'>> {
  try {
    const one = async (name: string) => ((await redis.config('GET', name)) as string[])[1] ?? ''
    return {
      appendonly: await one('appendonly'),
      appendfsync: await one('appendfsync'),
      maxmemoryPolicy: await one('maxmemory-policy'),
      maxmemoryBytes: Number(await one('maxmemory')),
    }
  } catch (error) {
    if (error instanceof Error && /NOPERM|unknown command/i.test(error.message)) return {}
    throw error
  }
}

export function describePromise({ version, appendonly, appendfsync, maxmemoryPolicy, maxmemoryBytes }: RedisPromise): string {
  const redis = `Redis ${version}`
  if (appendonly === undefined) return `${redis} does not tell what it keeps (CONFIG GET is not allowed)`
  const memory = maxmemoryBytes ? '' : '; it has no maxmemory, so runs are refused only when the machine is full'
  if (maxmemoryPolicy !== 'noeviction') return `${redis} evicts (maxmemory-policy ${maxmemoryPolicy}): runs would be lost`
  if (appendonly !== 'yes') return `${redis} writes no append-only file: acknowledged runs are lost when it dies${memory}`
  if (appendfsync === 'always') return `${redis} has every acknowledged run on disk (appendfsync always)${memory}`
  const lost = appendfsync === 'everysec' ? 'up to two seconds of' : 'some'
  return `${redis} may lose ${lost} acknowledged runs when it dies (appendfsync ${appendfsync})${memory}`
}

/** Whether the service can stand on it at all. */
export const evicts = ({ maxmemoryPolicy }: RedisPromise): boolean =>
  maxmemoryPolicy !== undefined && maxmemoryPolicy !== 'noeviction'

function connectOnce(address: string, ca?: string): Redis {
  const options = {
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: 5000,
    ...authority(ca),
  }
  const redis = address.startsWith('/') ? new Redis({ ...options, path: address }) : new Redis(address, options)
  // connect() rejects with the same error.
  return redis.on('error', () => {})
}
