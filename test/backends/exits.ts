// How the main process ended, as it was.

import assert from 'node:assert/strict'
import { sh } from '../harness/finish.js'
import { slowness } from '../harness/slowness.js'
import { type Case, exited, expectVerdict, says } from './case.js'

const codes: Case[] = [0, 1, 42, 126, 127, 255].map((code) => ({
  name: `exit code ${code}`,
  spec: { args: sh(`exit ${code}`) },
  expect: (finished) => {
    exited(finished, code)
    assert.deepEqual(finished.verdict.reported, { exitCode: code })
  },
}))

const signals: Case[] = (
  [
    ['SEGV', 11],
    ['KILL', 9],
    ['TERM', 15],
    ['ABRT', 6],
  ] as const
).map(([name, signal]) => ({
  name: `ends by SIG${name} of its own`,
  spec: { args: sh(`kill -${name} $$; sleep 10`) },
  expect: (finished) => expectVerdict(finished, { outcome: 'SIGNALED', signal, effect: 'COMPLETED', reported: { signal } }),
}))

export const exits: Case[] = [
  ...codes,
  ...signals,
  {
    name: 'a signal from the client reaches the main process',
    spec: { args: sh('trap "echo caught; exit 7" USR1; echo ready; while :; do sleep 0.05; done') },
    meanwhile: (caisson, runId) => caisson.signal(runId, 10),
    expect: (finished) => {
      exited(finished, 7)
      assert.equal(finished.stdout.toString(), 'ready\ncaught\n')
    },
  },
  {
    // A shell hears of it only when its child has ended.
    name: 'a signal to the group of the main process reaches its child too',
    spec: { args: sh('echo ready; sleep 1000; echo not reached') },
    meanwhile: (caisson, runId) => caisson.signal(runId, 2, { group: true }),
    expect: (finished) => {
      expectVerdict(finished, { outcome: 'SIGNALED', signal: 2, effect: 'COMPLETED' })
      assert.equal(finished.stdout.toString(), 'ready\n')
    },
  },
  {
    name: 'ignores SIGTERM, and is cancelled all the same',
    spec: { args: sh('trap "" TERM; echo ready; while :; do sleep 0.05; done') },
    meanwhile: async (caisson, runId) => {
      await caisson.signal(runId, 15)
      assert.equal(await caisson.cancel(runId), true)
    },
    expect: (finished) => expectVerdict(finished, { outcome: 'CANCELLED', effect: 'STARTED' }),
  },
  {
    name: 'a background child that keeps stdout open does not hold the run',
    spec: { args: sh('sleep 1000 & setsid sleep 1000 & echo done') },
    expect: (finished) => {
      says('done')(finished)
      assert.ok((finished.verdict.usage.wallUs ?? 0) < 5_000_000 * slowness)
    },
  },
  {
    name: 'a command that is not in the image never starts',
    spec: { args: ['no-such-program'] },
    expect: (finished) => {
      expectVerdict(finished, { outcome: 'IMAGE_ERROR', effect: 'NEVER_STARTED' })
      assert.match(finished.verdict.message, /no-such-program/)
    },
  },
  {
    name: 'a command that is not executable never starts',
    spec: { args: ['/etc/passwd'] },
    expect: (finished) => {
      expectVerdict(finished, { outcome: 'IMAGE_ERROR', effect: 'NEVER_STARTED' })
      assert.match(finished.verdict.message, /\/etc\/passwd/)
    },
  },
]
