import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Reply, ReplyParser } from './replies.js'

function encode(reply: Reply): Buffer {
  if (reply === null) return Buffer.from('$-1\r\n')
  if (typeof reply === 'number') return Buffer.from(`:${reply}\r\n`)
  if (typeof reply === 'string') return Buffer.from(`+${reply}\r\n`)
  if (reply instanceof Error) return Buffer.from(`-${reply.message}\r\n`)
  if (Array.isArray(reply)) return Buffer.concat([Buffer.from(`*${reply.length}\r\n`), ...reply.map(encode)])
  return Buffer.concat([Buffer.from(`$${reply.length}\r\n`), reply, Buffer.from('\r\n')])
}

const leaf = fc.oneof(
  fc.constant(null),
  fc.integer(),
  fc.constantFrom('OK', '', 'PONG'),
  fc.constant(new Error('ERR no')),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
)
const reply: fc.Arbitrary<Reply> = fc.letrec<{ reply: Reply }>((tie) => ({
  reply: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('reply'), { maxLength: 4 })),
})).reply

test('answers of any form survive chunks of any size, which are overwritten afterwards', () => {
  fc.assert(
    fc.property(fc.array(reply, { maxLength: 5 }), fc.integer({ min: 1, max: 100 }), (replies, step) => {
      const bytes = Buffer.concat(replies.map(encode))
      const parser = new ReplyParser(Buffer.alloc)
      const seen: Reply[] = []
      const chunk = Buffer.alloc(step)
      for (let at = 0; at < bytes.length; at += step) {
        const length = bytes.copy(chunk, 0, at)
        seen.push(...parser.push(chunk.subarray(0, length)))
        chunk.fill(0)
      }
      assert.deepEqual(seen, replies)
    }),
  )
})

test('what is no answer is refused', () => {
  assert.throws(() => [...new ReplyParser(Buffer.alloc).push(Buffer.from('HTTP/1.1 400\r\n'))], /not an answer/)
})
