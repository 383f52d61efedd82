// kill -9 of the launcher, the only one with root, while 20 runs go: their sandboxes die with it, and the next launcher sweeps clean.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crowd, expectTrueEffect, underWay } from '../harness/crowd.js'
import { run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { expectSameHoldings, holdings } from '../harness/holdings.js'

const fixture = await Fixture.start()

test('kill -9 of the launcher', { timeout: 180_000 }, async () => {
  const { instance, caisson } = fixture
  await run(caisson, { args: ['true'] })
  const before = await holdings(instance)
  const runs = await crowd(caisson)
  await underWay(runs, caisson)
  await instance.killAndAwaitRestart('launcher')
  for (const one of await Promise.all(runs.finished)) expectTrueEffect(one)
  await instance.ready()
  assert.equal((await run(caisson, { args: ['true'], waitForWorker: true })).verdict.outcome, 'EXITED')
  await expectSameHoldings(instance, before)
})
