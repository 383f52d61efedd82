// A watcher that is cut off 100 times and resumes from its cursor gets the same bytes as one that never was.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CaissonError } from '../../client/sdk/error.js'
import type { RunEvent } from '../../client/sdk/model.js'
import { container, finish, run, sh } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'

const fixture = await Fixture.start()
const cuts = 100

/** 4 MiB and more in bursts, over some seconds. */
const talker = container({
  args: sh('i=0; while [ $i -lt 120 ]; do head -c $((i * 700)) /dev/urandom; echo err $i >&2; sleep 0.02; i=$((i+1)); done'),
})

async function watchWithCuts(runId: string): Promise<{ events: RunEvent[]; cuts: number }> {
  const events: RunEvent[] = []
  let made = 0
  let ended = false
  while (!ended) {
    let left = made < cuts ? Math.floor(Math.random() * 6) : Number.POSITIVE_INFINITY
    const afterCursor = events.at(-1)?.cursor ?? ''
    for await (const event of fixture.caisson.watch(runId, { afterCursor })) {
      events.push(event)
      ended = event.type === 'verdict'
      if (left-- <= 0) break
    }
    if (!ended) made++
  }
  return { events, cuts: made }
}

const brief = (events: RunEvent[]) =>
  events.map((event) => [event.cursor, event.type, event.type === 'output' ? event.data.toString('base64') : ''])

test('while the run goes, and after its end', { timeout: 120_000 }, async () => {
  const { caisson } = fixture
  const { runId } = await caisson.submit(talker)
  const [whole, live] = await Promise.all([finish(caisson.watch(runId)), watchWithCuts(runId)])
  assert.equal(whole.verdict.outcome, 'EXITED')
  assert.deepEqual(brief(live.events), brief(whole.events))
  // How many events a run has depends on how busy the machine is.
  for (let made = live.cuts; made < cuts; ) {
    const later = await watchWithCuts(runId)
    assert.deepEqual(brief(later.events), brief(whole.events))
    made += later.cuts
  }
})

test('after the last event there is nothing more', { timeout: 30_000 }, async () => {
  const { caisson } = fixture
  const { runId, events } = await run(caisson, { args: ['true'] })
  const more: RunEvent[] = []
  for await (const event of caisson.watch(runId, { afterCursor: events.at(-1)?.cursor ?? '' })) more.push(event)
  assert.deepEqual(more, [])
})

test('ten watchers of one run see the same', { timeout: 60_000 }, async () => {
  const { caisson } = fixture
  const { runId } = await caisson.submit(talker)
  const all = await Promise.all(Array.from({ length: 10 }, () => finish(caisson.watch(runId))))
  for (const one of all) assert.deepEqual(brief(one.events), brief(all[0]?.events ?? []))
})

test("another run's cursor is refused", { timeout: 30_000 }, async () => {
  const { caisson } = fixture
  const [a, b] = [await run(caisson, { args: ['true'] }), await run(caisson, { args: ['true'] })]
  await assert.rejects(
    caisson.watch(a.runId, { afterCursor: b.events[0]?.cursor ?? '' }).verdict(),
    (error: CaissonError) => error.code === 'INVALID_ARGUMENT' && error.violations.some(({ field }) => field === 'after_cursor'),
  )
})
