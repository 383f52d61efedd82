// Many runs in a row and many at once leave everything as it was. The soak does 2,000 and 200.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { small } from '../harness/crowd.js'
import { run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { expectSameHoldings, holdings, memory, untilMemoryIsAsItWas } from '../harness/holdings.js'

const fixture = await Fixture.start()
const inARow = Number(process.env['CAISSON_TEST_IN_A_ROW'] ?? 300)
const atOnce = Number(process.env['CAISSON_TEST_AT_ONCE'] ?? 100)

test(`${inARow} runs in a row and ${atOnce} at once`, { timeout: 600_000 }, async () => {
  const { instance, caisson } = fixture
  const one = async () => {
    const { verdict } = await run(caisson, { args: ['true'], limits: small, retentionMs: 1000 })
    assert.equal(verdict.outcome, 'EXITED', verdict.message)
  }
  for (let i = 0; i < 50; i++) await one()
  await Promise.all(Array.from({ length: 20 }, one))
  const [held, used] = [await holdings(instance), await memory(instance)]
  for (let i = 0; i < inARow; i++) await one()
  await Promise.all(Array.from({ length: atOnce }, one))
  await expectSameHoldings(instance, held)
  await untilMemoryIsAsItWas(instance, used)
})
