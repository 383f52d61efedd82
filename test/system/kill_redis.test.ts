// kill -9 of the Redis that `caisson up` brings: what was acknowledged is there when it is back.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { crowd, expectTrueEffect } from '../harness/crowd.js'
import { container } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'

const fixture = await Fixture.start()

test('runs under way end as if nothing had been', { timeout: 120_000 }, async () => {
  const { instance, caisson } = fixture
  const runs = await crowd(caisson)
  for (let i = 0; i < 3; i++) {
    await sleep(700)
    await instance.killAndAwaitRestart('redis')
  }
  for (const [i, one] of (await Promise.all(runs.finished)).entries()) {
    expectTrueEffect(one)
    assert.deepEqual([one.verdict.outcome, one.verdict.exitCode], ['EXITED', i % 5])
  }
})

test('every acknowledged submit is kept', { timeout: 120_000 }, async () => {
  const { instance, caisson } = fixture
  const acknowledged: string[] = []
  const submitting = (async () => {
    for (let i = 0; i < 200; i++) acknowledged.push((await caisson.submit(container({ args: ['true'] }))).runId)
  })()
  await sleep(200)
  await instance.killAndAwaitRestart('redis')
  await submitting
  for (const runId of acknowledged) assert.equal((await caisson.watch(runId).verdict()).outcome, 'EXITED')
})
