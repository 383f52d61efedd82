// The bare way of a gigabyte through a Redis Stream: one process adds chunks one after another, another reads them.
//
// As a program: `bare_stream.js REDIS BYTES` adds.

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'

/** As large as a chunk of output may be. */
const chunkBytes = 256 << 10
const key = 'bare'

/** MiB per second. */
export async function bareStream(url: string, bytes: number): Promise<number> {
  const redis = new Redis(url)
  await redis.del(key)
  const started = performance.now()
  const writer = spawn(process.execPath, [fileURLToPath(import.meta.url), url, String(bytes)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  // Its start is not the stream's.
  let first = 0
  let seen = 0
  for (let after = '0'; seen < bytes; ) {
    const answer = (await redis.xreadBuffer('COUNT', 16, 'BLOCK', 0, 'STREAMS', key, after)) as
      | [Buffer, [Buffer, Buffer[]][]][]
      | null
    first ||= performance.now()
    for (const [entryId, [, data]] of answer?.[0]?.[1] ?? []) {
      after = entryId.toString()
      seen += data?.length ?? 0
    }
  }
  const took = performance.now() - (first || started)
  writer.kill()
  await redis.del(key)
  redis.disconnect()
  return bytes / (1 << 20) / (took / 1000)
}

async function add(url: string, bytes: number): Promise<void> {
  const redis = new Redis(url)
  const chunk = Buffer.alloc(chunkBytes, 'x')
  for (let sent = 0; sent < bytes; sent += chunkBytes) await redis.xadd(key, '*', 'data', chunk)
  redis.disconnect()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await add(process.argv[2] ?? '', Number(process.argv[3]))
