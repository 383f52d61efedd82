// The first inputs of a fixed seed, every time.

import { test } from 'node:test'
import { mutated, Random } from './mutate.js'
import { targets } from './targets.js'

for (const [name, { seeds, parse, mayThrow }] of Object.entries(await targets())) {
  test(`${name}: two thousand mutations are taken, or refused in words`, async () => {
    const random = new Random(1)
    for (let i = 0; i < 2000; i++) {
      try {
        await parse(mutated(seeds, random))
      } catch (error) {
        if (!(error instanceof mayThrow)) throw error
      }
    }
  })
}
