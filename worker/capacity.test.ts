import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { Capacity } from './capacity.js'

const never = new AbortController().signal
const share = (cpuMillis: number, memoryBytes: number) => ({ cpuMillis, memoryBytes })

test('runs that fit start at once, others in order', async () => {
  const capacity = new Capacity(share(2000, 100), 10)
  const first = await capacity.take(share(1500, 10), never)
  const order: string[] = []
  const large = capacity.take(share(1000, 10), never).then((room) => {
    order.push('large')
    return room
  })
  const small = capacity.take(share(100, 10), never).then((room) => {
    order.push('small')
    return room
  })
  await turn()
  assert.deepEqual(order, [])
  first[Symbol.dispose]()
  first[Symbol.dispose]()
  await Promise.all([large, small])
  assert.deepEqual(order, ['large', 'small'])
  assert.deepEqual(capacity.free, share(900, 80))
})

test('one that gives up lets the next in', async () => {
  const capacity = new Capacity(share(1000, 100), 10)
  using _first = await capacity.take(share(600, 10), never)
  const cancel = new AbortController()
  const large = capacity.take(share(500, 10), cancel.signal)
  const small = capacity.take(share(100, 10), never)
  cancel.abort(new Error('cancelled'))
  await assert.rejects(large, /cancelled/)
  using _small = await small
  assert.equal(capacity.active, 2)
})

test('untilNobodyWaits: at most one run waits for room', async () => {
  const capacity = new Capacity(share(1000, 100), 10)
  const first = await capacity.take(share(1000, 10), never)
  await capacity.untilNobodyWaits()
  const second = capacity.take(share(1000, 10), never)
  let free = false
  const room = capacity.untilNobodyWaits().then(() => {
    free = true
  })
  await turn()
  assert.equal(free, false)
  first[Symbol.dispose]()
  await Promise.all([second, room])
})

test('more than there is in all is refused, with the field', async () => {
  const capacity = new Capacity(share(1000, 100), 10)
  await assert.rejects(capacity.take(share(1000, 101), never), /takes memory_bytes 101, and this worker has 100/)
  await assert.rejects(capacity.take(share(1001, 100), never), /cpu_millis 1001/)
})

test('whatever is taken and given back, it is never overdrawn and ends as it began', async () => {
  const shares = fc.array(fc.tuple(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 100 })), { maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(shares, fc.integer({ min: 1, max: 5 }), async (wishes, maxRuns) => {
      const capacity = new Capacity(share(1000, 100), maxRuns)
      await Promise.all(
        wishes.map(async ([cpu, memory]) => {
          using _room = await capacity.take(share(cpu, memory), never)
          assert.ok(capacity.free.cpuMillis >= 0 && capacity.free.memoryBytes >= 0 && capacity.active <= maxRuns)
          await turn()
        }),
      )
      assert.deepEqual({ ...capacity.free }, capacity.total)
      assert.equal(capacity.active, 0)
    }),
    { numRuns: 30 },
  )
})
