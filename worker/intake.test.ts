// Runs beside each other: many, without a launcher, and while the worker drains.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Queue } from 'bullmq'
import { bullPrefix } from '../proto/job.js'
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

test('connections that break at any moment lose no run', async () => {
  const redis = world.redis.connect()
  const breakSome = async () => {
    const scripted = String(await redis.client('LIST')).matchAll(/^id=(\d+) .* cmd=evalsha /gm)
    await Promise.all([...scripted].map(([, id]) => redis.client('KILL', 'ID', Number(id))))
  }
  const breaking = setInterval(() => breakSome().catch(() => {}), 20)
  const client = async () => {
    for (let at = 0; at < 20; at++) {
      const runId = await world.submit({ args: ['exit', '3'] })
      await world.until(runId, State.ENDED)
      assert.equal((await world.record(runId)).verdict?.exitCode, 3)
    }
  }
  await Promise.all(Array.from({ length: 40 }, client))
  clearInterval(breaking)
})

test('a queue that is paused is asked now and then', async () => {
  const redis = world.redis.connect()
  const queue = new Queue('container', { connection: redis, prefix: bullPrefix })
  const calls = async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1])
  await queue.pause()
  const runId = await world.submit({ args: ['exit', '0'] })
  await delay(200)
  const before = await calls()
  await delay(500)
  assert.ok((await calls()) - before < 100, `${(await calls()) - before} calls`)
  await queue.resume()
  await world.end(runId)
})

test('a full worker whose launcher dies takes no other run when there is room', async () => {
  const all = { cpuMillis: 1000 }
  const running = await world.submit({ args: ['sleep'] }, all)
  await world.until(running, State.RUNNING)
  const next = await world.submit({ args: ['exit', '1'] }, all)
  await world.until(next, State.PREPARING)
  const other = await world.submit({ args: ['exit', '2'] }, all)
  await world.launcher.die()
  await world.end(running)
  while (!world.host.pool.problem) await delay(5)
  await delay(300)
  assert.equal((await world.record(other)).state, State.QUEUED)
  await world.launcher.listen()
  const codes = await Promise.all([next, other].map(async (id) => (await world.end(id)).verdict.exitCode))
  assert.deepEqual(codes, [1, 2])
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
  const cancelled = await world.submit({ args: ['exit', '0'] })
  await world.until(cancelled, State.PREPARING)
  assert.equal(await world.submissions.cancel(cancelled), 'told')
  const drained = world.intake.drain(60_000)
  await world.inbox.sendSignal(trap, 3, false)
  assert.equal((await world.end(trap)).verdict.exitCode, 3)
  // As when its time is over.
  world.intake.abandon()
  await drained
  assert.deepEqual(outcomes(await world.end(slow)), ['WORKER_LOST', 'WORKER_DRAINED', 'STARTED'])
  const handedBack = await world.record(waiting)
  assert.deepEqual([handedBack.state, handedBack.attempt], [State.QUEUED, 2])
  assert.deepEqual(outcomes(await world.end(cancelled)), ['CANCELLED', 'CANCELLED', 'NEVER_STARTED'])
})
