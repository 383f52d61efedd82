// kill -9 of the worker while 20 runs go: each reaches one verdict with a true effect, and the next worker sweeps clean.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crowd, expectTrueEffect, underWay } from '../harness/crowd.js'
import { run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { expectSameHoldings, holdings } from '../harness/holdings.js'

const fixture = await Fixture.start()

test('kill -9 of the worker', { timeout: 180_000 }, async () => {
  const { instance, caisson } = fixture
  await run(caisson, { args: ['true'] })
  const before = await holdings(instance)
  const runs = await crowd(caisson)
  await underWay(runs, caisson)
  await instance.killAndAwaitRestart('worker')
  const finished = await Promise.all(runs.finished)
  for (const one of finished) expectTrueEffect(one)
  assert.ok(
    finished.some(({ verdict }) => verdict.outcome === 'WORKER_LOST' && verdict.effect === 'UNKNOWN'),
    'those that ran were lost',
  )
  assert.equal((await run(caisson, { args: ['true'] })).verdict.outcome, 'EXITED')
  await expectSameHoldings(instance, before)
})

test('runs that may start twice end well after kill -9 of the worker', { timeout: 180_000 }, async () => {
  const { instance, caisson } = fixture
  const runs = await crowd(caisson, 5, true)
  await underWay(runs, caisson)
  await instance.killAndAwaitRestart('worker')
  for (const one of await Promise.all(runs.finished)) {
    expectTrueEffect(one, true)
    assert.equal(one.verdict.outcome, 'EXITED')
  }
})
