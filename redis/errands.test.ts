import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import type { Redis } from 'ioredis'
import { answersKey, errandLeaseKey, errandsKey } from '../proto/keys.js'
import type { caisson } from '../proto/messages.js'
import { Refusal } from '../proto/reason.js'
import { Errands, mostAnswerBytes, type TakenErrand } from './errands.js'
import { type ScratchRedis, scratchRedis } from './scratch.js'
import { StreamTail } from './tail.js'
import { Workers } from './workers.js'

let scratch: ScratchRedis
let redis: Redis
let errands: Errands
let worker: Errands

before(async () => {
  scratch = await scratchRedis()
  redis = scratch.connect()
  const calls = scratch.connect('failFast')
  await once(calls, 'ready')
  errands = new Errands(calls, new StreamTail(scratch.tail(), redis))
  worker = new Errands(redis, new StreamTail(scratch.tail(), redis))
})
after(() => scratch[Symbol.asyncDispose]())

const forever = () => new AbortController().signal
const get = (image: string) => () => ({ get: { image } })
const isRefusal = (reason: string) => (error: unknown) => error instanceof Refusal && error.reason === reason

let count = 0
async function living(): Promise<string> {
  const workerId = `w${++count}`
  await new Workers(redis).heartbeat({ workerId })
  return workerId
}

/** What one worker is sent on, each answered as `answer` says. */
async function serve(workerId: string, answer: (taken: TakenErrand) => Promise<unknown>, signal: AbortSignal): Promise<void> {
  for await (const taken of worker.taken(workerId, signal)) void answer(taken)
}

async function all(answers: AsyncIterable<caisson.errand.v1.Answer>) {
  const kinds: (string | undefined)[] = []
  for await (const { answer } of answers) kinds.push(answer)
  return kinds
}

test('an errand and its answers; afterwards nothing is left', async () => {
  const workerId = await living()
  const over = new AbortController()
  const images: string[] = []
  const ids: string[] = []
  void serve(
    workerId,
    async ({ id, errand }) => {
      ids.push(id)
      images.push(errand.get?.image ?? '')
      await worker.answer(id)
      await worker.answer(id, { layer: { digest: 'a' } })
      await worker.answer(id, { details: {} }, true)
    },
    over.signal,
  )
  const two = await Promise.all(['one', 'two'].map((image) => all(errands.send(workerId, get(image), forever()))))
  assert.deepEqual(two, [
    ['layer', 'details'],
    ['layer', 'details'],
  ])
  assert.deepEqual(images.sort(), ['one', 'two'])
  for (const id of ids) assert.equal(await redis.exists(errandLeaseKey(id), answersKey(id)), 0)
  assert.equal(await redis.xlen(errandsKey(workerId)), 0)
  over.abort()
})

test('a worker that does not live, and one that takes nothing', async () => {
  await assert.rejects(all(errands.send('nobody', get('x'), forever())), isRefusal('WORKER_NOT_FOUND'))
  const workerId = await living()
  const over = new AbortController()
  const waiting = Array.from({ length: 64 }, () => all(errands.send(workerId, get('x'), over.signal)))
  for (const each of waiting) each.catch(() => {})
  while ((await redis.xlen(errandsKey(workerId))) < 64) await new Promise(setImmediate)
  await assert.rejects(all(errands.send(workerId, get('x'), forever())), isRefusal('WORKER_BUSY'))
  over.abort(new Error('left'))
  for (const each of waiting) await assert.rejects(each, /left/)
  // What the worker takes now, nobody waits for.
  const end = new AbortController()
  let left = 64
  for await (const { id } of worker.taken(workerId, end.signal)) {
    assert.equal(await worker.answer(id, { details: {} }, true), false)
    assert.equal(await redis.exists(answersKey(id)), 0)
    if (--left === 0) break
  }
  end.abort()
})

test('who leaves is waited for no more; who reads slowly misses progress, and never the end', async () => {
  const workerId = await living()
  const over = new AbortController()
  const [left, slow] = ['left', 'slow'].map((image) => errands.send(workerId, get(image), forever()))
  const taken = new Map<string, string>()
  const told = serve(workerId, async ({ id, errand }) => taken.set(errand.get?.image ?? '', id), over.signal)
  const first = [left?.next(), slow?.next()]
  while (taken.size < 2) await new Promise(setImmediate)
  const [leftId, slowId] = [taken.get('left') ?? '', taken.get('slow') ?? '']
  for (const id of [leftId, slowId]) await worker.answer(id, { layer: { doneBytes: 1 } })
  await Promise.all(first)
  await left?.return()
  assert.equal(await worker.answer(leftId, { layer: {} }), false)
  for (let doneBytes = 2; doneBytes < 1_000; doneBytes++) await worker.answer(slowId, { layer: { doneBytes } })
  await worker.answer(slowId, { pulled: { layers: 3 } }, true)
  assert.equal(await redis.xlen(answersKey(slowId)), 256)
  const rest = await all(slow ?? assert.fail())
  assert.equal(rest.at(-1), 'pulled')
  over.abort()
  await told
})

test('an answer that is too large is not sent', async () => {
  const details = { author: 'x'.repeat(mostAnswerBytes) }
  await assert.rejects(worker.answer('any', { details }), /at most 1048576 are sent/)
})

test('a worker that falls silent', { timeout: 30_000 }, async () => {
  const workerId = await living()
  const answers = errands.send(workerId, get('x'), forever())
  await assert.rejects(all(answers), isRefusal('WORKER_SILENT'))
  // As a worker leaves that was told to stop.
  await new Workers(redis).leave(workerId)
  assert.equal(await redis.exists(errandsKey(workerId)), 0)
})
