// kill -9 of control while 20 runs go: nobody notices but the watchers, who come back and miss nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crowd, expectTrueEffect, underWay } from '../harness/crowd.js'
import { Fixture } from '../harness/fixture.js'

const fixture = await Fixture.start()

test('kill -9 of control', { timeout: 120_000 }, async () => {
  const { instance, caisson } = fixture
  const runs = await crowd(caisson)
  await underWay(runs, caisson)
  await instance.killAndAwaitRestart('control')
  const finished = await Promise.all(runs.finished)
  for (const [i, one] of finished.entries()) {
    expectTrueEffect(one)
    assert.deepEqual([one.verdict.outcome, one.verdict.exitCode], ['EXITED', i % 5])
  }
})

test('a submit that was answered survives control', { timeout: 60_000 }, async () => {
  const { instance, caisson } = fixture
  const runs = await crowd(caisson, 3)
  process.kill(await instance.pid('control'), 'SIGKILL')
  for (const { verdict } of await Promise.all(runs.finished)) assert.equal(verdict.outcome, 'EXITED')
})
