import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { Seal } from './seal.js'

const seal = new Seal(randomBytes(32))

test('opened by the same key for the same run only', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (secret) => {
      const closed = seal.close(secret, 'r1')
      assert.deepEqual(seal.open(closed, 'r1'), Buffer.from(secret))
      assert.equal(seal.open(closed, 'r2'), undefined)
      assert.equal(new Seal(randomBytes(32)).open(closed, 'r1'), undefined)
    }),
  )
})

test('whatever is changed or cut off is not opened', () => {
  const closed = seal.close(Buffer.from('secret'), 'r1')
  assert.ok(!closed.includes('secret'))
  for (let at = 0; at < closed.length; at++) {
    const changed = Buffer.from(closed)
    changed[at] = (changed[at] as number) ^ 1
    assert.equal(seal.open(changed, 'r1'), undefined)
    assert.equal(seal.open(closed.subarray(0, at), 'r1'), undefined)
  }
})

test('a key is 64 hexadecimal digits', () => {
  assert.ok(Seal.parse(`${'0a'.repeat(32)}\n`))
  for (const text of ['', '0a', 'g'.repeat(64), '0a'.repeat(33)]) assert.equal(Seal.parse(text), undefined)
})
