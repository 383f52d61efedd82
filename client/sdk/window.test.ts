import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Window } from './window.js'

const never = new AbortController().signal

test('what is read, at any offset and size, is what was appended, and what is released is gone', async () => {
  const chunk = fc.uint8Array({ minLength: 1, maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { minLength: 1, maxLength: 20 }), fc.nat(), fc.nat(), async (chunks, a, b) => {
      const all = Buffer.concat(chunks)
      const window = new Window(1 << 20)
      for (const data of chunks) await window.append(data)
      const released = a % all.length
      window.release(released)
      assert.equal(window.start, released)
      const offset = released + (b % (all.length - released))
      assert.ok(await window.readable(offset, never))
      assert.deepEqual(window.read(offset, 7), all.subarray(offset, offset + 7))
    }),
  )
})

test('a full window holds its writer back until something is released', async () => {
  const window = new Window(10)
  let written = false
  const writing = window.append(Buffer.alloc(10)).then(() => {
    written = true
  })
  await new Promise(setImmediate)
  assert.equal(written, false)
  assert.ok(window.exhausted(10))
  window.release(1)
  await writing
})

test('many tiny writes fill it too', async () => {
  const window = new Window(1 << 20)
  for (let i = 0; i < 1023; i++) await window.append(Buffer.from('x'))
  void window.append(Buffer.from('y'))
  assert.ok(window.exhausted(1024))
})

test('end of input is read after the last byte', async () => {
  const window = new Window(10)
  await window.append(Buffer.from('ab'))
  window.end()
  assert.equal(await window.readable(1, never), true)
  assert.equal(await window.readable(2, never), false)
  await assert.rejects(window.append(Buffer.from('c')), /end of input/)
})

test('a failure reaches the writer that waits', async () => {
  const window = new Window(1)
  const writing = window.append(Buffer.alloc(2))
  window.fail(new Error('gone'))
  await assert.rejects(writing, /gone/)
})
