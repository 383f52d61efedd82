import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Outcome, Verdict } from '../sdk/model.js'
import type { Attack } from './corpus.js'
import { judge, type Seen } from './judge.js'

const verdict = (outcome: Outcome, exitCode?: number): Verdict => ({
  outcome,
  effect: 'COMPLETED',
  message: '',
  reason: '',
  observed: {
    oomKills: 0,
    pidsDenied: 0,
    diskFull: false,
    cpuExceeded: false,
    wallExceeded: false,
    outputExceeded: false,
    agentLost: false,
  },
  usage: {},
  stages: { queuedUs: 0, imageUs: 0, sandboxUs: 0, processUs: 0 },
  ...(exitCode !== undefined && { exitCode }),
})

const limits = { wallMs: 1, cpuMs: 1, cpuMillis: 10, memoryBytes: 1, pids: 1, diskBytes: 1, openFiles: 1, outputBytes: 1 }
const attack: Attack = {
  name: 'door',
  class: 'host',
  tries: 'opens it',
  standsFor: 'doors',
  must: 'it is shut',
  ends: ['EXITED'],
  exitCode: 0,
  user: '',
  image: 'plain',
  backends: ['container'],
  holds: false,
  limits,
}
const held: Seen = { stdout: 'held: 3 tries\n', verdict: verdict('EXITED', 0), harm: [], ms: 1 }
const answer = (changed: Partial<Attack>, seen: Partial<Seen>) => {
  const result = judge({ ...attack, ...changed }, 'container', { ...held, ...seen })
  return `${result.answer}: ${result.detail}`
}

test('held: by its own word, with the outcome that it should have', () => {
  assert.equal(answer({}, {}), 'held: 3 tries')
  assert.equal(answer({ ends: ['OOM_KILLED'] }, { stdout: '', verdict: verdict('OOM_KILLED') }), 'held: OOM_KILLED')
  assert.equal(answer({ exitCode: 7 }, { stdout: '\0\u0006x\nheld: 1 tries\n', verdict: verdict('EXITED', 7) }), 'held: 1 tries')
  assert.equal(answer({}, { stdout: 'not applicable: no such kernel\n' }), 'not applicable: no such kernel')
})

test('broken: by its own word, by its outcome, by what the host saw', () => {
  assert.equal(answer({}, { stdout: 'broken: it opened\n' }), 'broken: it opened')
  assert.equal(
    answer({ ends: ['OOM_KILLED'] }, { stdout: 'broken: it opened\n', verdict: verdict('OOM_KILLED') }),
    'broken: it opened',
  )
  assert.match(answer({}, { verdict: verdict('INTERNAL') }), /^broken: the run ended as INTERNAL, not EXITED$/)
  assert.match(answer({ exitCode: 7 }, {}), /^broken: the run ended as EXITED 0, not 7$/)
  assert.equal(answer({}, { stdout: '' }), 'broken: the program ended without a word')
  assert.equal(answer({}, { harm: ['a file of the host was changed'] }), 'broken: a file of the host was changed')
})

test('broken: by what a neighbour met or missed', () => {
  const holding = { holds: true, ends: ['CANCELLED'] as Outcome[] }
  const seen = { stdout: 'fact: 0 5 9\nheld: 9\nholding\n', verdict: verdict('CANCELLED') }
  const neighbour = (stdout: string) => ({ ...seen, neighbour: { stdout, verdict: verdict('EXITED', 0) } })
  assert.equal(answer(holding, neighbour('fact: 0 6 9\nheld: 15 tries\n')), 'held: 9')
  assert.equal(answer(holding, neighbour('fact: 0 5 9\nheld: 15 tries\n')), 'broken: a neighbour has the same: 0 5 9')
  assert.equal(answer(holding, neighbour('broken: no pipe\n')), 'broken: no pipe')
  assert.match(answer(holding, neighbour('')), /^broken: a neighbour's run ended as EXITED 0$/)
  assert.equal(answer(holding, seen), 'broken: it was cancelled, and no neighbour had looked')
})
