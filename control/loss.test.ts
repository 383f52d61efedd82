import assert from 'node:assert/strict'
import { test } from 'node:test'
import { caisson } from '../proto/messages.js'
import type { StateName } from '../proto/state.js'
import { lossOf } from './loss.js'

const { Effect, Outcome } = caisson.v1

const cases: [StateName, attempt: number, mayRetry: boolean, cancelled: boolean, retry: boolean, effect: keyof typeof Effect][] =
  [
    ['PREPARING', 1, false, false, true, 'NEVER_STARTED'],
    ['PREPARING', 2, false, false, true, 'NEVER_STARTED'],
    ['PREPARING', 3, true, false, false, 'NEVER_STARTED'],
    ['PREPARING', 1, false, true, false, 'NEVER_STARTED'],
    ['STARTING', 1, false, false, false, 'UNKNOWN'],
    ['STARTING', 1, true, false, true, 'UNKNOWN'],
    ['RUNNING', 1, false, false, false, 'UNKNOWN'],
    ['RUNNING', 2, true, false, true, 'UNKNOWN'],
    ['RUNNING', 3, true, false, false, 'UNKNOWN'],
    ['RUNNING', 1, true, true, false, 'UNKNOWN'],
  ]

for (const [state, attempt, retryAfterStart, cancelled, retry, effect] of cases) {
  test(`${state}, attempt ${attempt}${retryAfterStart ? ', may run twice' : ''}${cancelled ? ', cancelled' : ''}`, () => {
    const loss = lossOf({ state, attempt, workerId: 'w', retryAfterStart, cancelled })
    assert.equal(loss.retry, retry)
    assert.equal(loss.verdict.effect, Effect[effect])
    assert.equal(loss.verdict.outcome, cancelled ? Outcome.CANCELLED : Outcome.WORKER_LOST)
  })
}
