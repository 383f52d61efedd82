import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { idempotencyKey, runKey, runsKey } from '../proto/keys.js'
import { caisson } from '../proto/messages.js'
import { takeRun } from './scratch.js'
import { aRun, ScratchRuns } from './scratchRuns.js'
import type { NewRun } from './submissions.js'
import { verdictOf } from './verdicts.js'

const { Outcome, Effect } = caisson.v1
const placement = { workerId: 'w1', backend: caisson.v1.Backend.BACKEND_CONTAINER }
const exited = verdictOf('EXITED', Effect.COMPLETED, '')

const scratch = await ScratchRuns.open()
const { redis, runs, submissions } = scratch
after(() => scratch[Symbol.asyncDispose]())

async function running(over: Partial<NewRun> = {}): Promise<string> {
  const runId = await scratch.created(over)
  assert.ok(await takeRun(runs, runId, placement))
  assert.ok(await runs.starting(runId, 1, 'sha256:00'))
  assert.ok(await runs.running(runId, 1))
  return runId
}

describe('idempotency', () => {
  test('fifty submits at once create one run and one job', async () => {
    const jobs = async () => redis.llen('caisson:bull:microvm:wait')
    const before = await jobs()
    const env = (i: number) => (i % 2 ? { A: '1', B: '2' } : { B: '2', A: '1' })
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        submissions.create(aRun({ idempotencyKey: 'k1', spec: { image: 'i', env: env(i) }, queue: 'microvm' })),
      ),
    )
    const ids = new Set(answers.map((answer) => ('runId' in answer ? answer.runId : '')))
    assert.equal(ids.size, 1)
    assert.equal(answers.filter(({ outcome }) => outcome === 'created').length, 1)
    assert.equal(await jobs(), before + 1)
    const [runId = ''] = ids
    assert.deepEqual(await submissions.known('k1', { image: 'i', env: env(0) }), { outcome: 'known', runId })
    const other = await submissions.create(aRun({ idempotencyKey: 'k1', spec: { image: 'other' } }))
    assert.deepEqual(other, { outcome: 'conflict', runId })
  })

  test('the key lives as long as its run', async () => {
    const spec = { image: 'i' }
    const runId = await scratch.created({ idempotencyKey: 'k2', spec })
    assert.equal(await redis.pttl(idempotencyKey('k2')), -1)
    await takeRun(runs, runId, placement)
    await runs.end(runId, 1, exited)
    assert.ok((await redis.pttl(idempotencyKey('k2'))) > 0)
    assert.equal(await submissions.delete(runId), 'deleted')
    assert.notEqual(await scratch.created({ idempotencyKey: 'k2', spec }), runId)
  })
})

describe('the end without a worker', () => {
  test('a start deadline that passed is found at the claim', async () => {
    const runId = await scratch.created({ spec: { image: 'i', startWithinMs: 1 } })
    await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(await takeRun(runs, runId, placement), undefined)
    const run = await runs.get(runId)
    assert.equal(run?.verdict?.outcome, Outcome.EXPIRED_IN_QUEUE)
    assert.equal(run?.verdict?.effect, Effect.NEVER_STARTED)
  })

  test('cancel: a queued run ends at once, a running one is told once, an ended one is over', async () => {
    const queued = await scratch.created()
    assert.equal(await submissions.cancel(queued), 'ended')
    assert.equal((await runs.get(queued))?.verdict?.outcome, Outcome.CANCELLED)
    assert.equal(await takeRun(runs, queued, placement), undefined)
    assert.equal(await submissions.cancel(queued), 'over')

    const busy = await running()
    assert.equal(await submissions.cancel(busy), 'told')
    assert.equal(await submissions.cancel(busy), 'told')
    assert.equal(await redis.xlen(`${runKey(busy)}:inbox`), 1)
    assert.equal(await runs.requeue(busy, 1, ''), false, 'a run that is to end gets no other attempt')
    assert.equal(await submissions.cancel('r0000000000000000000000000'), 'gone')
  })

  test('delete', async () => {
    const runId = await running()
    assert.equal(await submissions.delete(runId), 'not-ended')
    await runs.end(runId, 1, exited)
    assert.equal(await submissions.delete(runId), 'deleted')
    assert.equal(await submissions.delete(runId), 'not-found')
    assert.equal(await redis.zscore(runsKey, runId), null)
    assert.deepEqual(await redis.keys(`caisson:run:${runId}*`), [])
  })
})
