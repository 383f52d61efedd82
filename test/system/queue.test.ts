// Who starts first, and who no more: priorities, order, start deadlines, cancelling what waits.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunSpec } from '../../client/sdk/model.js'
import { container, finish } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { until } from '../harness/until.js'

// One run at a time: what it gives away is what one of these asks.
const fixture = await Fixture.start({ args: ['--cpu-millis', '1000'] })
const whole = { cpuMillis: 1000, wallMs: 60_000 }
let blocker: string

await fixture.caisson.run(container({ args: ['true'] })).verdict()

/** Nothing else starts while this one runs. */
async function block(): Promise<void> {
  blocker = (await fixture.caisson.submit(container({ args: ['sleep', '60'], limits: whole }))).runId
  await until('the blocker runs', 10_000, async () => (await fixture.caisson.get(blocker)).state === 'RUNNING')
}

const submit = (spec: Partial<RunSpec>) => fixture.caisson.submit(container({ args: ['true'], limits: whole, ...spec }))

// A worker without room claims one more run, and fetches a second while it does: these are next, whatever comes. The queue's order is
// that of the others.
test('lower numbers first, and in order of submission', { timeout: 60_000 }, async () => {
  const { caisson } = fixture
  await block()
  const submitted: { runId: string; rank: number }[] = []
  const held = await submit({})
  await submit({})
  await until('the worker holds one', 10_000, async () => (await caisson.get(held.runId)).state !== 'QUEUED')
  await sleep(500)
  for (const [i, priority] of [5, 0, 5, 1_000_000, 0, 1].entries())
    submitted.push({ runId: (await submit({ priority })).runId, rank: priority * 10 + i })
  await caisson.cancel(blocker)
  for (const { runId } of submitted) assert.equal((await caisson.watch(runId).verdict()).outcome, 'EXITED')
  const runs = await Promise.all(
    submitted.map(async ({ runId, rank }) => ({ rank, started: (await caisson.get(runId)).startedAt })),
  )
  const order = runs.sort((a, b) => (a.started?.getTime() ?? 0) - (b.started?.getTime() ?? 0)).map(({ rank }) => rank)
  assert.deepEqual(
    order,
    submitted.map(({ rank }) => rank).sort((a, b) => a - b),
  )
})

test('a start deadline that passes in the queue', { timeout: 60_000 }, async () => {
  const { caisson } = fixture
  await block()
  const { runId } = await submit({ startWithinMs: 500 })
  const { verdict, events } = await finish(caisson.watch(runId))
  assert.deepEqual([verdict.outcome, verdict.effect, verdict.reason], ['EXPIRED_IN_QUEUE', 'NEVER_STARTED', 'START_DEADLINE'])
  const [submittedAt, endedAt] = [events[0]?.time.getTime() ?? 0, events.at(-1)?.time.getTime() ?? 0]
  assert.ok(endedAt - submittedAt >= 450 && endedAt - submittedAt < 5000, `${endedAt - submittedAt} ms`)
  await caisson.cancel(blocker)
  await caisson.watch(blocker).verdict()
  const kept = await submit({ startWithinMs: 10_000 })
  assert.equal((await caisson.watch(kept.runId).verdict()).outcome, 'EXITED')
})

test('a run cancelled in the queue never starts', { timeout: 60_000 }, async () => {
  const { caisson } = fixture
  await block()
  const { runId } = await submit({})
  assert.equal(await caisson.cancel(runId), true)
  const { verdict, events } = await finish(caisson.watch(runId))
  assert.deepEqual([verdict.outcome, verdict.effect], ['CANCELLED', 'NEVER_STARTED'])
  assert.ok(!events.some((event) => event.type === 'state' && event.state === 'STARTING'))
  assert.equal(await caisson.cancel(runId), false)
  await caisson.cancel(blocker)
})
