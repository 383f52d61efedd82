// Runs beside each other: many, without a launcher, and while the worker drains.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { caisson } from '../proto/messages.js'
import { Run } from './run.js'
import { programs } from './scripted/programs.js'
import { image, outcomes, World } from './scripted/world.js'

const { State } = caisson.v1

let world: World
before(async () => {
  world = await World.open(programs)
})
beforeEach(() => {
  world.prepare = async () => image
})
after(() => world[Symbol.asyncDispose]())

test('200 at once, from a Redis that has forgotten its scripts, so that requests come late', async () => {
  const ids = await Promise.all(Array.from({ length: 200 }, (_, at) => world.submit({ args: ['exit', String(at)] })))
  await world.redis.connect().script('FLUSH')
  const ended = await Promise.all(ids.map((id) => world.end(id)))
  assert.deepEqual(
    ended.map(({ verdict }) => verdict.exitCode),
    ids.map((_, at) => at),
  )
  assert.equal(world.intake.activeRuns, 0)
})

test('a launcher that dies takes its runs with it; the next one is found', async () => {
  const runId = await world.submit({ args: ['sleep'] })
  await world.until(runId, State.RUNNING)
  await world.launcher.die()
  assert.deepEqual(outcomes(await world.end(runId)), ['INTERNAL', 'LAUNCHER_LOST', 'UNKNOWN'])
  while (!world.host.pool.problem) await delay(5)
  const later = await world.submit({ args: ['exit', '7'] })
  await delay(300)
  assert.ok(world.host.pool.problem)
  assert.equal((await world.record(later)).state, State.QUEUED)
  await world.launcher.listen()
  assert.equal((await world.end(later)).verdict.exitCode, 7)
  assert.equal(world.host.pool.problem, undefined)
})

test('a run that is taken while the worker drains goes back, whatever comes of its image', async () => {
  const run = { spec: { image: 'oci:/images/a' }, limits: { wallMs: 1000 }, queue: 'microvm', maxWaiting: 1000 } as const
  const created = await world.submissions.create({ ...run, idempotencyKey: '', retentionMs: 60_000, message: '' })
  assert.ok(created.outcome === 'created')
  const { placement, runs } = world.host
  const taken = await runs.take({ queue: 'microvm', token: 'x', lockMs: 30_000, placement })
  assert.ok(taken.run)
  world.prepare = () => Promise.reject(new Error('given up'))
  const { run: claimed } = taken
  const story = new Run(world.host, claimed, (report) => runs.report(claimed.runId, claimed.attempt, report))
  story.handBack()
  await story.live()
  const { state, attempt } = await world.record(created.runId)
  assert.deepEqual([state, attempt], [State.QUEUED, 2])
})

test('drain: what runs may finish, what has not started goes back, the rest is told', async () => {
  const slow = await world.submit({ args: ['sleep'] })
  const trap = await world.submit({ args: ['trap'] })
  await Promise.all([world.until(slow, State.RUNNING), world.until(trap, State.RUNNING)])
  world.prepare = () => new Promise(() => {})
  const waiting = await world.submit({ args: ['exit', '0'] })
  await world.until(waiting, State.PREPARING)
  const drained = world.intake.drain(60_000)
  await world.inbox.sendSignal(trap, 3, false)
  assert.equal((await world.end(trap)).verdict.exitCode, 3)
  // As when its time is over.
  world.intake.abandon()
  await drained
  assert.deepEqual(outcomes(await world.end(slow)), ['WORKER_LOST', 'WORKER_DRAINED', 'STARTED'])
  const handedBack = await world.record(waiting)
  assert.deepEqual([handedBack.state, handedBack.attempt], [State.QUEUED, 2])
})
