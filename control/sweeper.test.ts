import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { bullPrefix, jobId } from '../proto/job.js'
import { retentionKey, runsKey, startDeadlinesKey, stateKey, workerKey, workersKey } from '../proto/keys.js'
import { caisson } from '../proto/messages.js'
import { readEvents } from '../redis/events.js'
import { Inbox } from '../redis/inbox.js'
import { Lease } from '../redis/lease.js'
import { takeRun } from '../redis/scratch.js'
import { ScratchRuns } from '../redis/scratchRuns.js'
import { StreamTail } from '../redis/tail.js'
import { verdictOf } from '../redis/verdicts.js'
import { Workers } from '../redis/workers.js'
import { Sweeper } from './sweeper.js'

const { State, Outcome, Effect } = caisson.v1

const scratch = await ScratchRuns.open()
const { redis, queues, runs, submissions } = scratch
const workers = new Workers(redis)
const newSweeper = () => new Sweeper({ redis, lease: new Lease(redis, 'lease', 1_000), queues, runs, submissions, workers })
const sweeper = newSweeper()

after(() => scratch[Symbol.asyncDispose]())

const submitted = (spec: caisson.v1.IRunSpec = {}) => scratch.created({ spec: { image: 'i', ...spec } })

async function claimed(workerId: string, spec: caisson.v1.IRunSpec = {}, attempt = 1): Promise<string> {
  const runId = await submitted(spec)
  assert.equal((await takeRun(runs, runId, { workerId }))?.attempt, attempt)
  return runId
}

const lose = (workerId: string) => redis.del(workerKey(workerId))
const outcomeOf = async (runId: string) => {
  const verdict = (await runs.get(runId))?.verdict
  return verdict && [verdict.outcome, verdict.effect]
}
const hasJob = (runId: string, attempt: number) => redis.exists(`${bullPrefix}:container:${jobId(runId, attempt)}`)

before(async () => {
  // Until the grace of a Redis that has just started is over: then a run of nobody's is seen.
  const runId = await claimed('nobody')
  while ((await runs.get(runId))?.attempt === 1) {
    await sleep(500)
    await sweeper.pass()
  }
  await submissions.cancel(runId)
})

describe('a worker that is gone', () => {
  test('its runs end, or begin again, as their records say', async () => {
    await workers.heartbeat({ workerId: 'gone' })
    const preparing = await claimed('gone')
    const starting = await claimed('gone')
    await runs.starting(starting, 1, 'x')
    const running = await claimed('gone')
    await runs.starting(running, 1, 'x')
    await runs.running(running, 1)
    const twice = await claimed('gone', { retryAfterStart: true })
    await runs.starting(twice, 1, 'x')
    await runs.running(twice, 1)
    await sweeper.pass()
    assert.equal((await runs.get(preparing))?.state, State.PREPARING, 'it lives')

    await lose('gone')
    await sweeper.pass()
    assert.equal((await runs.get(preparing))?.state, State.QUEUED)
    assert.equal((await runs.get(preparing))?.attempt, 2)
    assert.equal(await hasJob(preparing, 2), 1)
    assert.deepEqual(await outcomeOf(starting), [Outcome.WORKER_LOST, Effect.UNKNOWN])
    assert.deepEqual(await outcomeOf(running), [Outcome.WORKER_LOST, Effect.UNKNOWN])
    assert.equal((await runs.get(twice))?.attempt, 2)
    const [message] = (await readEvents(redis, twice)).slice(-1)
    assert.match(message?.state?.message ?? '', /worker gone was lost in attempt 1, after the program may have started/)
    assert.equal(await redis.sismember(workersKey, 'gone'), 0)
    assert.equal(await runs.end(starting, 1, verdictOf('EXITED', Effect.COMPLETED, '')), false, 'it comes back too late')
  })

  test('three attempts are the last', async () => {
    const runId = await submitted()
    for (const attempt of [1, 2, 3]) {
      assert.equal((await takeRun(runs, runId, { workerId: `w${attempt}` }))?.attempt, attempt)
      await sweeper.pass()
    }
    assert.deepEqual(await outcomeOf(runId), [Outcome.WORKER_LOST, Effect.NEVER_STARTED])
  })

  test('a run that was to be cancelled is', async () => {
    const runId = await claimed('gone')
    await submissions.cancel(runId)
    await sweeper.pass()
    assert.deepEqual(await outcomeOf(runId), [Outcome.CANCELLED, Effect.NEVER_STARTED])
  })

  test('input that was taken cannot be given to another attempt', async () => {
    const tail = new StreamTail(scratch.server.tail(), redis)
    const inbox = new Inbox(redis, tail)
    const runId = await claimed('gone', { stdinAttach: true, retryAfterStart: true })
    await runs.starting(runId, 1, 'x')
    await inbox.sendData(runId, Buffer.from('x'), undefined, true)
    await inbox.taken(runId, 1, 1, '1-1')
    await sweeper.pass()
    assert.deepEqual(await outcomeOf(runId), [Outcome.WORKER_LOST, Effect.UNKNOWN])
    tail.close()
  })
})

describe('what only seems lost', () => {
  test('nothing, to a sweeper that has just begun to look', async () => {
    const runId = await claimed('silent')
    await newSweeper().pass()
    assert.equal((await runs.get(runId))?.state, State.PREPARING)
    await workers.heartbeat({ workerId: 'silent' })
    await sweeper.pass()
    assert.equal((await runs.get(runId))?.state, State.PREPARING)
    await runs.end(runId, 1, verdictOf('EXITED', Effect.COMPLETED, ''))
  })
})

describe('the queue', () => {
  test('a start deadline passes without any worker', async () => {
    const runId = await submitted({ startWithinMs: 1 })
    await sleep(1_100)
    await sweeper.pass()
    assert.deepEqual(await outcomeOf(runId), [Outcome.EXPIRED_IN_QUEUE, Effect.NEVER_STARTED])
    assert.equal(await redis.zcard(startDeadlinesKey), 0)
    while (await hasJob(runId, 1)) await sleep(5)
  })

  test('a job that is missing comes back', async () => {
    const runId = await submitted()
    await queues.remove('container', runId, 1)
    await sweeper.pass()
    assert.equal(await hasJob(runId, 1), 1)
  })
})

describe('retention', () => {
  test('what has expired leaves the indices', async () => {
    const runId = await scratch.created({ retentionMs: 20 })
    await submissions.cancel(runId)
    assert.notEqual(await redis.zscore(runsKey, runId), null)
    await sleep(60)
    await sweeper.pass()
    assert.equal(await runs.get(runId), undefined)
    for (const key of [runsKey, stateKey('ENDED'), retentionKey]) assert.equal(await redis.zscore(key, runId), null, key)
  })
})

test('one of all sweeps', async () => {
  const [a, b] = [new Lease(redis, 'one', 60_000), new Lease(redis, 'one', 60_000)]
  assert.deepEqual([await a.hold(), await b.hold(), await a.hold()], [true, false, true])
  const leftMs = await redis.pttl('one')
  assert.ok(leftMs > 0 && leftMs <= 60_000, `${leftMs} ms`)
  // As if its time had passed.
  await redis.pexpire('one', 0)
  assert.deepEqual([await b.hold(), await a.hold()], [true, false])
  await b.release()
  assert.equal(await a.hold(), true)
})
