import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { caisson } from '../../proto/messages.js'
import type { AgentClient } from '../agent/client.js'
import { Deferred } from '../deferred.js'
import { Pool, type PoolBounds } from './pool.js'
import type { Sandbox } from './sandbox.js'

const never = new AbortController().signal

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(1)
}
const quiet = () => {}

class Maker {
  made = 0
  disposed = 0
  failure: Error | undefined
  rehearsed = 0
  readonly breaks: Deferred<never>[] = []

  async prepare(): Promise<Sandbox> {
    await delay(1)
    if (this.failure) throw this.failure
    this.made++
    const lost = new Deferred<never>()
    this.breaks.push(lost)
    const agent = { broken: new Deferred<never>().promise } as AgentClient
    const dispose = () => {
      this.disposed++
    }
    const unused = () => assert.fail('not used here')
    return {
      agent,
      wall: undefined,
      setup: undefined,
      countsInside: false,
      refused: false,
      console: undefined,
      lost: lost.promise,
      stopped: new Deferred<caisson.launch.v1.StopReason>().promise,
      rehearse: async () => {
        this.rehearsed++
      },
      start: unused,
      stop: unused,
      finish: unused,
      [Symbol.dispose]: dispose,
    }
  }
}

const usual: PoolBounds = {
  least: 2,
  most: 4,
  parallel: 2,
  patienceMs: 20_000,
  reviewMs: 5_000,
  refillMs: { others: 20, empty: 0 },
  hasRoom: () => true,
}

function poolOf(
  maker: Maker,
  bounds: Partial<PoolBounds> = {},
  onChange: (problem: Error | undefined) => void = quiet,
): Pool<Sandbox> {
  return new Pool(() => maker.prepare(), { ...usual, ...bounds }, onChange)
}

test('a sandbox that waits rehearses once, and one that was taken before does not', async () => {
  const maker = new Maker()
  const pool = poolOf(maker, { least: 2, most: 2, refillMs: { others: 60_000, empty: 60_000 } })
  await until(() => pool.size === 2)
  await pool.take(never)
  await until(() => maker.rehearsed > 0)
  await delay(50)
  assert.deepEqual([pool.size, maker.made, maker.rehearsed], [1, 2, 1])
  pool.close()
})

test('sandboxes wait ready, and one that was taken is replaced, never returned', async () => {
  const maker = new Maker()
  const pool = poolOf(maker)
  await until(() => pool.size === 2)
  const taken = await Promise.all([pool.take(never), pool.take(never), pool.take(never)])
  assert.equal(new Set(taken).size, 3)
  await until(() => pool.size >= 2)
  assert.ok(pool.size <= 4)
  pool.close()
  assert.equal(maker.disposed, maker.made - 3)
})

test('more are kept when more were wanted, up to the bound', async () => {
  const maker = new Maker()
  const pool = poolOf(maker)
  await until(() => pool.size === 2)
  await Promise.all(Array.from({ length: 20 }, () => pool.take(never)))
  await until(() => pool.size === 4)
  await delay(50)
  assert.equal(pool.size, 4)
  pool.close()
})

test('one that breaks while it waits is disposed of and replaced', async () => {
  const maker = new Maker()
  const pool = poolOf(maker)
  await until(() => pool.size === 2)
  maker.breaks[0]?.reject(new Error('agent killed'))
  await until(() => maker.disposed === 1 && pool.size === 2)
  assert.deepEqual([maker.disposed, maker.made, pool.size], [1, 3, 2])
  pool.close()
})

test('a launcher that is away is a problem until it is back; whoever waits is served then', async () => {
  const maker = new Maker()
  maker.failure = new Error('nobody listens')
  const told: (string | undefined)[] = []
  const pool = poolOf(maker, {}, (problem) => told.push(problem?.message))
  const taken = pool.take(never)
  let healthy = false
  const becoming = pool.untilHealthy().then(() => {
    healthy = true
  })
  await until(() => pool.problem !== undefined)
  await delay(30)
  assert.deepEqual([pool.problem, healthy], ['nobody listens', false])
  maker.failure = undefined
  await Promise.all([taken, becoming])
  assert.deepEqual(told, ['nobody listens', undefined])
  assert.equal(pool.problem, undefined)
  pool.close()
})

test('a problem goes when it is over, also where nobody wants a sandbox any more', async () => {
  const maker = new Maker()
  const pool = poolOf(maker, { least: 0, most: 0 })
  maker.failure = new Error('no space left')
  const stop = new AbortController()
  const taken = pool.take(stop.signal)
  await until(() => pool.problem !== undefined)
  stop.abort(new Error('cancelled'))
  await assert.rejects(taken, /cancelled/)
  await delay(150)
  assert.equal(pool.problem, 'no space left')
  maker.failure = undefined
  await until(() => pool.problem === undefined)
  assert.deepEqual([pool.size, maker.made, maker.disposed], [0, 1, 1])
  pool.close()
})

test('whoever gives up waiting takes no sandbox away', async () => {
  const maker = new Maker()
  maker.failure = new Error('nobody listens')
  const pool = poolOf(maker)
  const stop = new AbortController()
  const taken = pool.take(stop.signal)
  stop.abort(new Error('cancelled'))
  await assert.rejects(taken, /cancelled/)
  maker.failure = undefined
  await until(() => pool.size >= 2)
  assert.equal(maker.disposed, 0)
  pool.close()
})

test('a sandbox that comes after the end is disposed of', async () => {
  const maker = new Maker()
  const pool = poolOf(maker)
  pool.close()
  await until(() => maker.made === 2 && maker.disposed === 2)
})
