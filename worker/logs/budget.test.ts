import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OutputBudget } from './budget.js'

test('exactly the limit is not exceeded, one byte more is', () => {
  const budget = new OutputBudget(10)
  assert.equal(budget.take(10), 10)
  assert.equal(budget.exceeded, false)
  assert.equal(budget.take(1), 0)
  assert.equal(budget.exceeded, true)
})

test('limit 0: the first byte exceeds, silence does not', () => {
  const budget = new OutputBudget(0)
  assert.equal(budget.exceeded, false)
  assert.equal(budget.take(1), 0)
  assert.equal(budget.exceeded, true)
})

test('whatever comes, the cut is at the limit', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.array(fc.integer({ min: 1, max: 300 })), (limit, chunks) => {
      const budget = new OutputBudget(limit)
      const kept = chunks.reduce((sum, chunk) => sum + budget.take(chunk), 0)
      const sent = chunks.reduce((sum, chunk) => sum + chunk, 0)
      assert.equal(kept, Math.min(sent, limit))
      assert.equal(budget.keptBytes, kept)
      assert.equal(budget.exceeded, sent > limit)
    }),
  )
})
