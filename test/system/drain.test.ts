// SIGTERM drains the worker: what runs may finish, nothing new begins there; a second SIGTERM stops at once.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { container, finish, sh } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { isAlive } from '../harness/processes.js'
import { until } from '../harness/until.js'

const fixture = await Fixture.start()

const started = async (runId: string) =>
  until('it runs', 10_000, async () => (await fixture.caisson.get(runId)).state === 'RUNNING')

test('a drained worker finishes what it has; the next one takes what waits', { timeout: 60_000 }, async () => {
  const { instance, caisson } = fixture
  const { runId } = await caisson.submit(container({ args: sh('sleep 2; echo done') }))
  await started(runId)
  const worker = await instance.pid('worker')
  process.kill(worker, 'SIGTERM')
  const later = await caisson.submit(container({ args: ['true'], waitForWorker: true }))
  const { verdict, stdout } = await finish(caisson.watch(runId))
  assert.deepEqual([verdict.outcome, stdout.toString()], ['EXITED', 'done\n'])
  await until('the worker is gone', 20_000, () => !isAlive(worker))
  assert.equal((await caisson.watch(later.runId).verdict()).outcome, 'EXITED')
})

test('a second SIGTERM stops at once, and says so of what it stopped', { timeout: 60_000 }, async () => {
  const { instance, caisson } = fixture
  await instance.ready()
  const { runId } = await caisson.submit(container({ args: ['sleep', '50'], waitForWorker: true }))
  await started(runId)
  const worker = await instance.pid('worker')
  process.kill(worker, 'SIGTERM')
  // Two at once would be one.
  await until('it drains', 10_000, async () => (await caisson.workers()).some(({ draining }) => draining))
  process.kill(worker, 'SIGTERM')
  await until('the worker is gone', 5000, () => !isAlive(worker))
  const { verdict } = await finish(caisson.watch(runId))
  assert.equal(verdict.outcome, 'WORKER_LOST')
  assert.notEqual(verdict.effect, 'COMPLETED')
})

test('control that is drained lets go of its watchers, who come back', { timeout: 60_000 }, async () => {
  const { instance, caisson } = fixture
  await instance.ready()
  const { runId } = await caisson.submit(container({ args: sh('for i in 1 2 3 4 5 6; do echo $i; sleep 0.3; done') }))
  const watched = finish(caisson.watch(runId))
  await started(runId)
  process.kill(await instance.pid('control'), 'SIGTERM')
  const { verdict, stdout } = await watched
  assert.deepEqual([verdict.outcome, stdout.toString()], ['EXITED', '1\n2\n3\n4\n5\n6\n'])
})
