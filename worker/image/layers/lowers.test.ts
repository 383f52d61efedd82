import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { foldedOf } from './lowers.js'

const layers = fc.integer({ min: 1, max: 2000 })
const budget = fc.integer({ min: 3, max: 500 })

test('what is left fits, and nothing is folded that need not be', () => {
  fc.assert(
    fc.property(layers, budget, (layers, budget) => {
      const folded = foldedOf(layers, budget)
      if (layers <= budget) assert.equal(folded, 0)
      else {
        assert.ok(folded >= 2 && folded <= layers)
        assert.ok(1 + layers - folded <= budget)
      }
    }),
  )
})

test('layers that come on top change the fold only every half budget', () => {
  fc.assert(
    fc.property(layers, budget, (layers, budget) => {
      const [before, after] = [foldedOf(layers, budget), foldedOf(layers + 1, budget)]
      assert.ok(after === before || after - before === Math.ceil(budget / 2))
      // And then makes room: the next one does not change it again.
      if (before > 0 && after !== before) assert.equal(foldedOf(layers + 2, budget), after)
    }),
  )
})

test('a few by hand', () => {
  assert.deepEqual(
    [1, 64, 65, 95, 96, 127, 128, 600].map((layers) => foldedOf(layers, 64)),
    [0, 0, 32, 32, 64, 64, 96, 544],
  )
  assert.deepEqual(
    [500, 501, 749, 750, 1000].map((layers) => foldedOf(layers, 500)),
    [0, 250, 250, 500, 750],
  )
})
