// How long an ended run is remembered, and how it is forgotten.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import type { CaissonError } from '../../client/sdk/error.js'
import { container, finish, run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { until } from '../harness/until.js'

const fixture = await Fixture.start()

const keysOf = (runId: string): string[] =>
  execFileSync('redis-cli', ['-s', fixture.instance.redisSocket, '--scan', '--pattern', `*${runId}*`], { encoding: 'utf8' })
    .split('\n')
    .filter((key) => key !== '')

const gone = (error: CaissonError) => error.code === 'NOT_FOUND' && error.reason === 'RUN_NOT_FOUND'

test('after its retention record and log are gone', { timeout: 60_000 }, async () => {
  const { caisson } = fixture
  const { runId } = await run(caisson, { args: ['echo', 'kept'], retentionMs: 2000, labels: { kept: 'briefly' } })
  assert.equal((await finish(caisson.watch(runId))).stdout.toString(), 'kept\n')
  await until('the run is forgotten', 20_000, async () => (await caisson.get(runId).catch(gone)) === true)
  await assert.rejects(caisson.watch(runId).verdict(), gone)
  await until('its keys are gone', 20_000, () => keysOf(runId).length === 0)
  for await (const listed of caisson.list({ labels: { kept: 'briefly' } })) assert.fail(`still listed: ${listed.runId}`)
})

test('Delete forgets at once, and only what ended', { timeout: 60_000 }, async () => {
  const { caisson } = fixture
  const { runId } = await caisson.submit(container({ args: ['sleep', '30'] }))
  await assert.rejects(caisson.delete(runId), (error: CaissonError) => error.code === 'FAILED_PRECONDITION')
  await caisson.cancel(runId)
  await caisson.watch(runId).verdict()
  await caisson.delete(runId)
  await assert.rejects(caisson.get(runId), gone)
  await assert.rejects(caisson.delete(runId), gone)
  assert.deepEqual(keysOf(runId), [])
})

test('List: newest first, by state and label, in pages', { timeout: 60_000 }, async () => {
  const { caisson } = fixture
  const runIds: string[] = []
  for (let i = 0; i < 25; i++)
    runIds.push((await run(caisson, { args: ['true'], labels: { group: 'pages', odd: String(i % 2) } })).runId)
  const collect = async (options: Parameters<typeof caisson.list>[0]) => {
    const found: string[] = []
    for await (const listed of caisson.list(options)) found.push(listed.runId)
    return found
  }
  assert.deepEqual(await collect({ labels: { group: 'pages' }, pageSize: 4 }), runIds.toReversed())
  const odd = runIds.filter((_, i) => i % 2 === 1).reverse()
  assert.deepEqual(await collect({ labels: { group: 'pages', odd: '1' }, states: ['ENDED'] }), odd)
  assert.deepEqual(await collect({ labels: { group: 'pages' }, states: ['QUEUED', 'RUNNING'] }), [])
  const all = await collect({ states: ['ENDED'], pageSize: 1000 })
  assert.ok(runIds.every((runId) => all.includes(runId)))
})

test('Get says all of a run', { timeout: 30_000 }, async () => {
  const { caisson } = fixture
  const { runId } = await run(caisson, { args: ['true'], labels: { a: 'b' }, limits: { pids: 7 } })
  const got = await caisson.get(runId)
  assert.deepEqual(
    [got.state, got.attempt, got.placement?.backend, got.spec.labels, got.limits.pids],
    ['ENDED', 1, 'container', { a: 'b' }, 7],
  )
  assert.match(got.imageDigest, /^sha256:[0-9a-f]{64}$/)
  const times = [got.submittedAt, got.startedAt, got.endedAt].map((time) => time?.getTime() ?? 0)
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  )
  assert.ok(Math.min(...times) > Date.now() - 60_000)
  for (const value of Object.values(got.limits)) assert.ok(value > 0)
  assert.equal(got.verdict?.outcome, 'EXITED')
})
