// What our scripts make of a queue is what BullMQ itself makes of it, and each can go on where the other left off.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Job, Queue, Worker } from 'bullmq'
import { bullPrefix, jobId, jobName, jobOptions } from '../proto/job.js'
import { caisson } from '../proto/messages.js'
import { ScratchRuns } from './scratchRuns.js'

const theirPrefix = 'theirs'
const token = 'a token'
const lockMs = 30_000
const placement = { workerId: 'w1', backend: caisson.v1.Backend.BACKEND_CONTAINER }
const exited = { outcome: caisson.v1.Outcome.EXITED }

const scratch = await ScratchRuns.open()
const { redis, runs } = scratch
const connection = scratch.server.connect()
const options = { connection, removeOnComplete: { count: 0 }, removeOnFail: { count: 0 }, lockDuration: lockMs, autorun: false }
const queueOf = (prefix: string) => new Queue('container', { connection, prefix })
const workerOf = (prefix: string) => new Worker('container', null, { ...options, prefix })
const [theirs, ours] = [queueOf(theirPrefix), queueOf(bullPrefix)]
const [theirWorker, ourWorker] = [workerOf(theirPrefix), workerOf(bullPrefix)]
before(() => Promise.all([theirs, ours, theirWorker, ourWorker].map((each) => each.waitUntilReady())))
after(async () => {
  await Promise.all([theirs, ours, theirWorker, ourWorker].map((each) => each.close()))
  await scratch[Symbol.asyncDispose]()
})

const take = async () => (await runs.take({ queue: 'container', token, lockMs, placement })).run?.runId

/** A run of ours, and the same job of theirs. */
async function addBoth(priority: number): Promise<string> {
  const runId = await scratch.created({ spec: { image: 'i', priority } })
  const data = { runId, attempt: 1 }
  await theirs.add(jobName, data, { ...jobOptions, jobId: jobId(runId, 1), ...(priority > 0 && { priority }) })
  return runId
}

/** Every key of the queue but those that tell what happened, and its settings. Times are left out, and so is the order of options. */
async function keysOf(prefix: string): Promise<unknown> {
  const start = `${prefix}:container:`
  const names = (await redis.keys(`${start}*`))
    .map((key) => key.slice(start.length))
    .filter((name) => !/^(events|meta)$/.test(name))
  return Object.fromEntries(await Promise.all(names.sort().map(async (name) => [name, await contentOf(start + name)])))
}

async function contentOf(key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case 'hash': {
      const { timestamp, processedOn, opts = '{}', ...rest } = await redis.hgetall(key)
      return { ...rest, times: [timestamp, processedOn].map((time) => time && /^\d{13}$/.test(time)), opts: JSON.parse(opts) }
    }
    case 'list':
      return redis.lrange(key, 0, -1)
    case 'zset':
      return redis.zrange(key, 0, -1, 'WITHSCORES')
    default:
      return [await redis.get(key), (await redis.pttl(key)) > 0]
  }
}

describe('beside BullMQ', () => {
  test('added, taken and finished jobs leave the same', async () => {
    const same = async (what: string) => assert.deepEqual(await keysOf(bullPrefix), await keysOf(theirPrefix), what)
    const added: string[] = []
    for (const priority of [0, 9, 7, 0, 7]) added.push(await addBoth(priority))
    await same('added')
    const [first, last, middle, second, third] = added
    for (const runId of [first, second, middle, third]) {
      assert.equal(await take(), runId)
      const job = (await theirWorker.getNextJob(token)) as Job
      assert.equal(job.id, jobId(runId ?? '', 1))
      await same('taken')
      assert.ok(await runs.end(runId ?? '', 1, exited))
      await job.moveToCompleted(null, token, false)
      await same('finished')
    }
    assert.equal(await take(), last)
    assert.ok(await theirWorker.getNextJob(token))
    // A queue without jobs is not marked by us.
    await redis.zrem(`${theirPrefix}:container:marker`, '0')
    await same('the last one')
    assert.ok(await runs.end(last ?? '', 1, exited))
  })

  test('BullMQ takes a job that we added, and finishes it', async () => {
    const runId = await scratch.created()
    const job = (await ourWorker.getNextJob(token)) as Job
    assert.deepEqual([job.id, job.data, job.opts.attempts], [jobId(runId, 1), { runId, attempt: 1 }, 1])
    await job.moveToCompleted(null, token, false)
    assert.deepEqual(await ours.getJobCounts('active', 'waiting', 'completed'), { active: 0, waiting: 0, completed: 0 })
  })

  test('a job is not added twice', async () => {
    const runId = await scratch.created()
    assert.ok(await scratch.submissions.enqueue(runId, 1, 'container', { image: 'i' }))
    assert.equal(await ours.getWaitingCount(), 1)
    assert.equal(await take(), runId)
    assert.ok(await runs.end(runId, 1, exited))
  })

  test('a queue that is paused or limited gives nothing, and no mark', async () => {
    const marks = () => redis.zcard(`${bullPrefix}:container:marker`)
    await ours.pause()
    const runId = await scratch.created()
    assert.equal(await marks(), 0)
    assert.equal(await take(), undefined)
    assert.equal(await marks(), 0)
    await ours.resume()
    await ours.setGlobalConcurrency(1)
    assert.equal(await take(), runId)
    const next = await scratch.created()
    assert.equal((await runs.take({ queue: 'container', token: 'another', lockMs, placement })).run, undefined)
    assert.ok(await runs.end(runId, 1, exited))
    assert.equal((await runs.take({ queue: 'container', token: 'another', lockMs, placement })).run?.runId, next)
    await ours.removeGlobalConcurrency()
  })
})
