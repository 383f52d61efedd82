import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Gathered } from '../redis/command.js'
import { framed } from './framing.js'

/** What grpc-js does with what a serializer gave it (server-interceptors.js, serializeMessage). */
function sent(message: Buffer): Buffer {
  const output = Buffer.allocUnsafe(message.byteLength + 5)
  output.writeUInt8(0, 0)
  output.writeUInt32BE(message.byteLength, 1)
  message.copy(output, 5)
  return output
}

function messagesOf(wire: Buffer): Buffer[] {
  const messages: Buffer[] = []
  for (let at = 0; at < wire.length; ) {
    assert.equal(wire[at], 0)
    const end = at + 5 + wire.readUInt32BE(at + 1)
    messages.push(wire.subarray(at + 5, end))
    at = end
  }
  return messages
}

describe('framing', () => {
  const piece = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
  const message = fc.array(piece, { minLength: 1, maxLength: 3 })

  test('what goes out together arrives one by one', () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 20 }), (messages) => {
        const wire = sent(framed(messages.map((parts) => new Gathered(parts))))
        assert.deepEqual(
          messagesOf(wire),
          messages.map((parts) => Buffer.concat(parts)),
        )
      }),
    )
  })
})
