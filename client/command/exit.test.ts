import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Outcome, Verdict } from '../sdk/model.js'
import { exitCode } from './exit.js'

const verdict = (outcome: Outcome, rest: Partial<Verdict> = {}): Verdict => ({
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
  ...rest,
})

test('every outcome has its exit code', () => {
  const expected: [Verdict, number][] = [
    [verdict('EXITED', { exitCode: 0 }), 0],
    [verdict('EXITED', { exitCode: 42 }), 42],
    [verdict('EXITED', { exitCode: 255 }), 255],
    [verdict('SIGNALED', { signal: 11 }), 139],
    [verdict('OOM_KILLED'), 137],
    [verdict('CPU_TIMEOUT'), 124],
    [verdict('WALL_TIMEOUT'), 124],
    [verdict('OUTPUT_LIMIT'), 153],
    [verdict('DISK_LIMIT', { exitCode: 1 }), 1],
    [verdict('PIDS_LIMIT', { reported: { signal: 6 } }), 134],
    [verdict('PIDS_LIMIT'), 125],
    [verdict('CANCELLED'), 130],
    [verdict('EXPIRED_IN_QUEUE'), 125],
    [verdict('IMAGE_ERROR', { reason: 'COMMAND_NOT_FOUND' }), 127],
    [verdict('IMAGE_ERROR', { reason: 'COMMAND_NOT_EXECUTABLE' }), 126],
    [verdict('IMAGE_ERROR', { reason: 'IMAGE_NOT_FOUND' }), 125],
    [verdict('WORKER_LOST'), 125],
    [verdict('INTERNAL'), 125],
  ]
  for (const [given, code] of expected) assert.equal(exitCode(given), code, given.outcome)
})
