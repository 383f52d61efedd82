import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeFrame, FrameDecoder, FrameError, maxFrameBytes } from './frame.js'
import { caisson } from './messages.js'

const { HostFrame, AgentFrame } = caisson.agent.v1

function decode(bytes: Uint8Array, step: number): Uint8Array[] {
  const decoder = new FrameDecoder()
  const messages: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += step) messages.push(...decoder.push(bytes.subarray(at, at + step)))
  assert.ok(decoder.atBoundary)
  return messages.map((message) => Uint8Array.from(message))
}

function frame(body: Uint8Array): Uint8Array {
  const header = Buffer.alloc(4)
  header.writeUInt32BE(body.length)
  return Buffer.concat([header, body])
}

test('what was encoded is decoded, in pieces of two bytes', () => {
  const sent = { input: { processId: 1, offset: 7, data: Buffer.from('hello'), end: true } }
  const [message] = decode(encodeFrame(HostFrame, sent), 2)
  const { input } = HostFrame.decode(message ?? new Uint8Array())
  assert.deepEqual({ ...input, data: Buffer.from(input?.data ?? '') }, sent.input)
})

test('frames of any size survive pieces of any size', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
      fc.integer({ min: 1, max: 400 }),
      (bodies, step) => {
        assert.deepEqual(decode(Buffer.concat(bodies.map(frame)), step), bodies)
      },
    ),
  )
})

test('a message of exactly 1 MiB passes, one byte more ends the stream before anything is kept', () => {
  assert.equal(decode(frame(new Uint8Array(maxFrameBytes)), 65_536)[0]?.length, maxFrameBytes)
  const header = Buffer.alloc(4)
  header.writeUInt32BE(maxFrameBytes + 1)
  assert.throws(() => [...new FrameDecoder().push(header)], FrameError)
})

test('a sender is held to the same cap', () => {
  assert.throws(() => encodeFrame(AgentFrame, { output: { data: new Uint8Array(maxFrameBytes) } }), FrameError)
})
