import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { caisson } from '../proto/messages.js'
import { isRunId, newRunId, runIdTime } from '../proto/runid.js'
import { specDigest } from '../proto/specDigest.js'
import { Gathered } from './command.js'
import { completeEvent, decodeCursor, encodeCursor, encodeEvent, encodeOutput, milliseconds, timestamp } from './events.js'

const a = newRunId(1_700_000_000_000)
const b = newRunId(1_700_000_000_001)

test('run ids sort by time and tell it', () => {
  assert.ok(isRunId(a) && isRunId(b) && a < b)
  assert.equal(runIdTime(b), 1_700_000_000_001)
  assert.ok(!isRunId('r') && !isRunId(`${a}\n`) && !isRunId(a.toUpperCase()))
})

test('a cursor names an entry of its own run only', () => {
  const cursor = encodeCursor(a, '1700000000000-3')
  assert.equal(decodeCursor(a, cursor), '1700000000000-3')
  assert.equal(decodeCursor(b, cursor), undefined)
})

test('anything else is no cursor', () => {
  fc.assert(fc.property(fc.string(), (text) => decodeCursor(a, text) === undefined))
  for (const id of ['', '$', '>', '-', '1', '1-', '1-2-3', '1-2 3', '99999999999999999999-1']) {
    assert.equal(decodeCursor(a, encodeCursor(a, id)), undefined, id)
  }
})

test('run_id and cursor are added without decoding', () => {
  const stored = encodeEvent({ time: timestamp(1.5), output: { stream: 1, offset: 7, data: Buffer.from([0, 255]), attempt: 1 } })
  const event = caisson.v1.RunEvent.decode(Buffer.concat(completeEvent(a, '5-0', stored).parts))
  assert.equal(event.runId, a)
  assert.equal(decodeCursor(a, event.cursor), '5-0')
  assert.equal(event.output?.offset, 7)
  assert.deepEqual(Buffer.from(event.output?.data ?? []), Buffer.from([0, 255]))
  assert.equal(milliseconds(event.time ?? {}), 1.5)
})

test('specs are the same whatever the order of their maps', () => {
  const pairs = fc.dictionary(fc.string(), fc.string())
  const shuffled = (map: Record<string, string>) => Object.fromEntries(Object.entries(map).reverse())
  fc.assert(
    fc.property(pairs, pairs, fc.string(), (env, labels, image) => {
      const spec = { image, env, labels }
      assert.equal(specDigest(spec), specDigest({ image, env: shuffled(env), labels: shuffled(labels) }))
      assert.notEqual(specDigest(spec), specDigest({ ...spec, image: `${image}!` }))
      assert.notEqual(specDigest(spec), specDigest({ ...spec, stdinInline: Buffer.alloc(0) }))
    }),
  )
})

test('output that is not copied reads as if it were', () => {
  const parts = [Buffer.from('he'), Buffer.from('llo')]
  const output = { stream: 2, offset: 2 ** 40, attempt: 3 }
  const time = timestamp(1_700_000_000_123)
  const gathered = encodeOutput({ time, output: { ...output, data: new Gathered(parts) } })
  const plain = encodeEvent({ time, output: { ...output, data: Buffer.concat(parts) } })
  assert.equal(gathered.length, plain.length)
  assert.deepEqual(caisson.v1.RunEvent.decode(Buffer.concat(gathered.parts)), caisson.v1.RunEvent.decode(plain))
})
