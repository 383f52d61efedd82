// No worker lives: what waits is still ended in time, and what the operator starts later is used.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CaissonError } from '../../client/sdk/error.js'
import { container, finish } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { until } from '../harness/until.js'

const fixture = await Fixture.start()

test('a frozen worker is lost, its runs are ended, and others wait or are refused', { timeout: 180_000 }, async () => {
  const { instance, caisson } = fixture
  const { runId } = await caisson.submit(container({ args: ['sleep', '300'], limits: { wallMs: 400_000 } }))
  await until('it runs', 10_000, async () => (await caisson.get(runId)).state === 'RUNNING')
  const worker = await instance.pid('worker')
  process.kill(worker, 'SIGSTOP')
  try {
    await until('the worker is not listed', 20_000, async () => (await caisson.workers()).length === 0)
    await assert.rejects(caisson.submit(container({ args: ['true'] })), (error: CaissonError) => error.reason === 'NO_WORKER')
    const expiring = await caisson.submit(container({ args: ['true'], waitForWorker: true, startWithinMs: 1000 }))
    const waiting = await caisson.submit(container({ args: ['true'], waitForWorker: true }))
    assert.equal((await caisson.watch(expiring.runId).verdict()).outcome, 'EXPIRED_IN_QUEUE')
    const { verdict } = await finish(caisson.watch(runId))
    assert.deepEqual([verdict.outcome, verdict.effect], ['WORKER_LOST', 'UNKNOWN'])
    assert.equal((await caisson.get(waiting.runId)).state, 'QUEUED')
    process.kill(worker, 'SIGCONT')
    assert.equal((await caisson.watch(waiting.runId).verdict()).outcome, 'EXITED')
  } finally {
    process.kill(worker, 'SIGCONT')
  }
})
