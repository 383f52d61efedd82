import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteQueue } from './bytes.js'

const kibibyte = 1024

test('what was pushed is taken, whatever was released and used again before', () => {
  const sizes = fc.array(fc.tuple(fc.integer({ min: 1, max: 200 * kibibyte }), fc.double({ min: 0, max: 1, noNaN: true })), {
    minLength: 1,
    maxLength: 12,
  })
  fc.assert(
    fc.property(sizes, (steps) => {
      const queue = new ByteQueue()
      const waiting: Buffer[] = []
      let fill = 0
      for (const [size, share] of steps) {
        const data = Buffer.alloc(size, ++fill)
        queue.push(data)
        data.fill(0)
        waiting.push(Buffer.alloc(size, fill))
        const left = Buffer.concat(waiting)
        const bytes = Math.floor(left.length * share)
        assert.ok(Buffer.concat(queue.take(bytes)).equals(left.subarray(0, bytes)))
        queue.release(bytes)
        waiting.splice(0, waiting.length, left.subarray(bytes))
      }
    }),
    { numRuns: 50 },
  )
})

test('what was taken stays as it is until it is released', () => {
  const queue = new ByteQueue()
  queue.push(Buffer.alloc(100, 'a'))
  const [taken] = queue.take(100)
  queue.push(Buffer.alloc(100, 'b'))
  const other = new ByteQueue()
  other.push(Buffer.alloc(100, 'c'))
  assert.equal(String(taken), 'a'.repeat(100))
})

test('what was taken before all was abandoned is not used again', () => {
  const queue = new ByteQueue()
  queue.push(Buffer.alloc(100, 'a'))
  const [taken] = queue.take(100)
  queue.abandon()
  queue.push(Buffer.alloc(10, 'b'))
  queue.release(100)
  assert.equal(String(taken), 'a'.repeat(100))
  assert.equal(String(queue.take(10)[0]), 'b'.repeat(10))
})
