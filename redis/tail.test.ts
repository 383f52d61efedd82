import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { type ScratchRedis, scratchRedis } from './scratch.js'
import { StreamTail } from './tail.js'
import type { TailConnection } from './tailConnection.js'

let scratch: ScratchRedis
let redis: Redis
let blocking: TailConnection
let tail: StreamTail

before(async () => {
  scratch = await scratchRedis('--appendonly', 'no')
  redis = scratch.connect()
  blocking = scratch.tail()
  tail = new StreamTail(blocking, redis)
})
after(async () => {
  tail.close()
  await scratch[Symbol.asyncDispose]()
})

const add = (key: string, n: number | string) => redis.xadd(key, '*', 'n', String(n))

async function take(key: string, count: number, { afterId = '0', pauseMs = 0 } = {}): Promise<string[]> {
  const seen: string[] = []
  for await (const entries of tail.follow(key, afterId, new AbortController().signal)) {
    for (const { fields } of entries) seen.push(String(fields.get('n')))
    if (seen.length >= count) break
    if (pauseMs > 0) await sleep(pauseMs)
  }
  return seen
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i))

test('what is there already, and what comes', async () => {
  await add('a', 0)
  const taking = take('a', 3)
  await sleep(20)
  await add('a', 1)
  await sleep(20)
  await add('a', 2)
  assert.deepEqual(await taking, numbers(3))
})

test('a new follower is served at once while another blocks', async () => {
  const quiet = take('quiet', 1)
  await sleep(20)
  await add('b', 0)
  const started = performance.now()
  assert.deepEqual(await take('b', 1), ['0'])
  // The other read blocks for five seconds.
  assert.ok(performance.now() - started < 4_000)
  await add('quiet', 0)
  await quiet
})

test('followers of one stream at different places each get all of it', async () => {
  for (const n of numbers(2000)) await add('c', n)
  const followers = [take('c', 2100), take('c', 2100, { pauseMs: 1 }), take('c', 2100, { pauseMs: 3 }), take('c', 2100)]
  for (let n = 2000; n < 2100; n++) {
    await add('c', n)
    if (n % 10 === 0) await sleep(1)
  }
  for (const seen of await Promise.all(followers)) assert.deepEqual(seen, numbers(2100))
})

test('500 streams, one connection, slow consumers among them', async () => {
  const keys = Array.from({ length: 500 }, (_, i) => `many:${i}`)
  const taking = Promise.all(keys.map((key, i) => take(key, 20, { pauseMs: i % 5 === 0 ? 5 : 0 })))
  for (let n = 0; n < 20; n++) await Promise.all(keys.map((key) => add(key, n)))
  for (const seen of await taking) assert.deepEqual(seen, numbers(20))
})

test('a consumer that does not wait for more holds one page', async () => {
  const chunk = 'x'.repeat(64 << 10)
  for (let i = 0; i < 200; i++) await add('big', chunk)
  const before = process.memoryUsage().arrayBuffers
  const slow = Array.from({ length: 10 }, () => tail.follow('big', '0', new AbortController().signal))
  const pages = await Promise.all(slow.map((follower) => follower.next()))
  await sleep(50)
  const held = process.memoryUsage().arrayBuffers - before
  assert.ok(held < 10 * (2 << 20), `${held} bytes held by ten slow consumers`)
  assert.equal(pages.length, 10)
  await Promise.all(slow.map((follower) => follower.return()))
})

test('small entries before large ones: a page is no larger for them', async () => {
  for (let i = 0; i < 3; i++) await add('growing', i)
  const slow = Array.from({ length: 20 }, () => tail.follow('growing', '0', new AbortController().signal))
  for (const follower of slow) await follower.next()
  const large = 'x'.repeat(256 << 10)
  for (let i = 0; i < 64; i++) await add('growing', large)
  let held = 0
  for (const follower of slow) held += (await follower.next()).value?.length ?? 0
  assert.ok(held <= 20 * 4, `${held} entries of 256 KiB are held`)
  for (const follower of slow) await follower.return()
})

test('the signal ends a follower that waits', async () => {
  const leave = new AbortController()
  const following = tail.follow('nothing', '0', leave.signal).next()
  await sleep(10)
  leave.abort()
  assert.deepEqual(await following, { done: true, value: undefined })
})

test('the connection breaks: nothing is missed', async () => {
  const taking = take('d', 50)
  for (let n = 0; n < 50; n++) {
    await add('d', n)
    if (n % 10 === 5) blocking.disconnect()
    await sleep(5)
  }
  assert.deepEqual(await taking, numbers(50))
})
