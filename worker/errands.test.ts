import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import type { Redis } from 'ioredis'
import type { caisson } from '../proto/messages.js'
import { Errands } from '../redis/errands.js'
import { type ScratchRedis, scratchRedis } from '../redis/scratch.js'
import { StreamTail } from '../redis/tail.js'
import { Workers } from '../redis/workers.js'
import { Deferred } from './deferred.js'
import { ErrandDesk, type ErrandWork } from './errands.js'
import type { Log } from './log.js'

let scratch: ScratchRedis
let redis: Redis
let control: Errands

before(async () => {
  scratch = await scratchRedis()
  redis = scratch.connect()
  const calls = scratch.connect('failFast')
  await once(calls, 'ready')
  control = new Errands(calls, new StreamTail(scratch.tail(), redis))
})
after(() => scratch[Symbol.asyncDispose]())

const forever = () => new AbortController().signal
const errand = () => ({ pull: { image: 'x' } })
const silent: Log = { info: () => {}, error: () => {} }

let count = 0
async function desk(work: ErrandWork['do']): Promise<{ workerId: string; desk: ErrandDesk }> {
  const workerId = `w${++count}`
  await new Workers(redis).heartbeat({ workerId })
  const failureOf = (error: unknown) => ({ reason: 'INTERNAL', message: (error as Error).message })
  const desk = new ErrandDesk(new Errands(redis, new StreamTail(scratch.tail(), redis)), { do: work, failureOf }, silent)
  void desk.serve(workerId)
  return { workerId, desk }
}

async function all(answers: AsyncIterable<caisson.errand.v1.Answer>) {
  const list: caisson.errand.v1.Answer[] = []
  for await (const answer of answers) list.push(answer)
  return list
}

test('the latest progress of each thing is told before the end', async () => {
  const { workerId, desk: served } = await desk(async (_, __, report) => {
    for (let doneBytes = 0; doneBytes < 1_000; doneBytes++)
      for (const digest of ['a', 'b']) report({ layer: { digest, doneBytes } })
    return { pulled: { layers: 2 } }
  })
  const answers = await all(control.send(workerId, errand, forever()))
  assert.ok(answers.length <= 5)
  assert.deepEqual(
    answers.slice(-3).map(({ layer, pulled }) => layer?.doneBytes ?? pulled?.layers),
    [999, 999, 2],
  )
  await served.close()
})

test('what fails is told, and the next one is done all the same', async () => {
  let times = 0
  const { workerId, desk: served } = await desk(async () => {
    if (++times === 1) throw new Error('once')
    // More than an answer may have.
    if (times === 2) return { details: { author: 'x'.repeat(2 << 20) } }
    return { pulled: {} }
  })
  const ends = []
  for (let i = 0; i < 3; i++) ends.push((await all(control.send(workerId, errand, forever()))).at(-1))
  assert.equal(ends[0]?.failed?.message, 'once')
  assert.match(ends[1]?.failed?.message ?? '', /at most 1048576/)
  assert.ok(ends[2]?.pulled)
  await served.close()
})

test('work that nobody waits for any more is given up within its next sign of life', async () => {
  const stopped = new Deferred<unknown>()
  const begun = new Deferred<void>()
  const { workerId, desk: served } = await desk(async (_, signal) => {
    begun.resolve()
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    stopped.resolve(signal.reason)
    throw signal.reason
  })
  const stop = new AbortController()
  const answers = all(control.send(workerId, errand, stop.signal))
  await begun.promise
  stop.abort(new Error('left'))
  await assert.rejects(answers, /left/)
  assert.match(String(await stopped.promise), /nobody waits/)
  await served.close()
})

test('a worker that takes 64 says that it is busy; one that stops says so to each', { timeout: 30_000 }, async () => {
  let begun = 0
  const { workerId, desk: served } = await desk((_, signal) => {
    begun++
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  })
  const waiting = []
  for (let i = 0; i < 64; i++) {
    waiting.push(all(control.send(workerId, errand, forever())))
    while (begun <= i) await new Promise(setImmediate)
  }
  const [busy] = await all(control.send(workerId, errand, forever()))
  assert.equal(busy?.failed?.reason, 'WORKER_BUSY')
  await served.close()
  for (const each of waiting) assert.equal((await each).at(-1)?.failed?.message, 'the worker is stopping')
})
