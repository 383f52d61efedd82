import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Restarts } from './restarts.js'

test('the wait doubles up to a limit, and a healthy life starts it again', () => {
  const restarts = new Restarts()
  const waits = Array.from({ length: 9 }, () => restarts.next(50))
  assert.deepEqual(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000])
  assert.equal(restarts.next(60_000), 100)
  assert.equal(restarts.next(50), 100)
  assert.equal(restarts.next(50), 200)
})
