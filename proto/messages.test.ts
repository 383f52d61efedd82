import assert from 'node:assert/strict'
import { test } from 'node:test'
import '@grpc/proto-loader'
import { caisson } from './messages.js'

test('64-bit fields are numbers, on the wire or not', () => {
  const { Output } = caisson.agent.v1
  assert.strictEqual(Output.decode(Output.encode({ offset: 5 }).finish()).offset, 5)
  assert.strictEqual(Output.decode(new Uint8Array()).offset, 0)
  assert.strictEqual(new caisson.v1.Placement().workerId, '')
  assert.strictEqual(new caisson.v1.Output().offset, 0)
})
