import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StreamName } from './model.js'
import { Offsets } from './offsets.js'

const output = (stream: StreamName, offset: number, size: number, attempt = 1) => {
  const data = Buffer.alloc(size)
  return { type: 'output' as const, runId: 'r', cursor: 'c', time: new Date(), stream, offset, data, attempt }
}

test('streams and attempts are counted apart', () => {
  const offsets = new Offsets()
  assert.equal(offsets.advance(output('stdout', 0, 5)), true)
  assert.equal(offsets.advance(output('stderr', 0, 3)), true)
  assert.equal(offsets.advance(output('stdout', 5, 1)), true)
  assert.equal(offsets.advance(output('stdout', 0, 2, 2)), true)
})

test('bytes seen before are dropped, missing ones are an error', () => {
  const offsets = new Offsets()
  offsets.advance(output('stdout', 100, 5))
  assert.equal(offsets.advance(output('stdout', 100, 5)), false)
  assert.throws(() => offsets.advance(output('stdout', 106, 1)), { code: 'DATA_LOSS' })
})
