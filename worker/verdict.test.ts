import assert from 'node:assert/strict'
import { test } from 'node:test'
import { caisson } from '../proto/messages.js'
import { Failure } from '../proto/reason.js'
import type { Report } from './agent/process.js'
import { type Ending, mayRetry, verdictOf } from './verdict.js'

const { Effect, Outcome } = caisson.v1
const { StopReason } = caisson.launch.v1
const { Step } = caisson.agent.v1.Failed

const limits = { memoryBytes: 1, cpuMs: 2, wallMs: 3, outputBytes: 4, pids: 5, diskBytes: 6 }
const plain: Ending = {
  limits,
  reached: 'started',
  failure: undefined,
  report: undefined,
  counters: undefined,
  account: { reason: 0 },
  output: { keptBytes: 0, exceeded: false },
  stages: {},
}
const exited = (exitCode: number): Report => ({ kind: 'exited', exitCode })
const signaled = (signal: number): Report => ({ kind: 'signaled', signal, coreDumped: false })
const failed = (step: caisson.agent.v1.Failed.Step, errno = 0): Report => ({ kind: 'failed', step, errno, message: 'x: E' })

interface Expected {
  outcome: keyof typeof Outcome
  reason: string
  effect: keyof typeof Effect
  exitCode?: number
  signal?: number
}

const cases: [string, Partial<Ending>, Expected][] = [
  ['exit 0', { report: exited(0) }, { outcome: 'EXITED', reason: 'EXITED', effect: 'COMPLETED', exitCode: 0 }],
  ['exit 255', { report: exited(255) }, { outcome: 'EXITED', reason: 'EXITED', effect: 'COMPLETED', exitCode: 255 }],
  ['SIGSEGV', { report: signaled(11) }, { outcome: 'SIGNALED', reason: 'SIGNALED', effect: 'COMPLETED', signal: 11 }],
  ['its own SIGKILL', { report: signaled(9) }, { outcome: 'SIGNALED', reason: 'SIGNALED', effect: 'COMPLETED', signal: 9 }],
  [
    'out of memory',
    { report: signaled(9), account: { reason: StopReason.OOM, oomKills: 1 } },
    { outcome: 'OOM_KILLED', reason: 'MEMORY_LIMIT', effect: 'STARTED' },
  ],
  [
    'the kernel killed the main process before the launcher saw it',
    { report: signaled(9), account: { oomKills: 1 } },
    { outcome: 'OOM_KILLED', reason: 'MEMORY_LIMIT', effect: 'STARTED' },
  ],
  [
    'cpu time, agent silent',
    { account: { reason: StopReason.CPU_TIME } },
    { outcome: 'CPU_TIMEOUT', reason: 'CPU_LIMIT', effect: 'STARTED' },
  ],
  [
    'wall time',
    { report: signaled(9), account: { reason: StopReason.WALL_TIME } },
    { outcome: 'WALL_TIMEOUT', reason: 'WALL_LIMIT', effect: 'STARTED' },
  ],
  [
    'wall time before Started was heard',
    { reached: 'executing', account: { reason: StopReason.WALL_TIME } },
    { outcome: 'WALL_TIMEOUT', reason: 'WALL_LIMIT', effect: 'UNKNOWN' },
  ],
  [
    'output, and the program ended by itself',
    { report: exited(1), account: { reason: StopReason.OUTPUT }, output: { keptBytes: 4, exceeded: true } },
    { outcome: 'OUTPUT_LIMIT', reason: 'OUTPUT_LIMIT', effect: 'COMPLETED', exitCode: 1 },
  ],
  [
    'cancelled',
    { report: signaled(9), account: { reason: StopReason.CANCEL } },
    { outcome: 'CANCELLED', reason: 'CANCELLED', effect: 'STARTED' },
  ],
  [
    'cancelled before the start',
    { reached: 'preparing', account: undefined, failure: new Failure('CANCELLED', 'cancelled') },
    { outcome: 'CANCELLED', reason: 'CANCELLED', effect: 'NEVER_STARTED' },
  ],
  [
    'a denied fork that mattered',
    { report: exited(2), account: { pidsDenied: 3 } },
    { outcome: 'PIDS_LIMIT', reason: 'PIDS_LIMIT', effect: 'COMPLETED', exitCode: 2 },
  ],
  [
    'a denied fork that killed it',
    { report: signaled(6), account: { pidsDenied: 3 } },
    { outcome: 'PIDS_LIMIT', reason: 'PIDS_LIMIT', effect: 'COMPLETED' },
  ],
  [
    'a denied fork that was shrugged off',
    { report: exited(0), account: { pidsDenied: 3, diskFull: true } },
    { outcome: 'EXITED', reason: 'EXITED', effect: 'COMPLETED', exitCode: 0 },
  ],
  [
    'a full disk',
    { report: exited(1), account: { diskFull: true } },
    { outcome: 'DISK_LIMIT', reason: 'DISK_LIMIT', effect: 'COMPLETED', exitCode: 1 },
  ],
  [
    'no such command',
    { reached: 'executing', report: failed(Step.EXEC, 2) },
    { outcome: 'IMAGE_ERROR', reason: 'COMMAND_NOT_FOUND', effect: 'NEVER_STARTED' },
  ],
  [
    'not executable',
    { reached: 'executing', report: failed(Step.EXEC, 13) },
    { outcome: 'IMAGE_ERROR', reason: 'COMMAND_NOT_EXECUTABLE', effect: 'NEVER_STARTED' },
  ],
  [
    'no such user',
    { reached: 'executing', report: failed(Step.USER) },
    { outcome: 'IMAGE_ERROR', reason: 'USER_NOT_FOUND', effect: 'NEVER_STARTED' },
  ],
  [
    'a file as cwd',
    { reached: 'executing', report: failed(Step.CWD) },
    { outcome: 'IMAGE_ERROR', reason: 'CWD_UNUSABLE', effect: 'NEVER_STARTED' },
  ],
  [
    'seccomp failed',
    { reached: 'executing', report: failed(Step.SECCOMP) },
    { outcome: 'INTERNAL', reason: 'SANDBOX_FAILED', effect: 'NEVER_STARTED' },
  ],
  [
    'the agent died',
    { account: { reason: StopReason.AGENT_LOST }, failure: new Failure('AGENT_LOST', 'gone') },
    { outcome: 'INTERNAL', reason: 'AGENT_LOST', effect: 'UNKNOWN' },
  ],
  [
    'the agent died, only the launcher says so',
    { account: { reason: StopReason.AGENT_LOST } },
    { outcome: 'INTERNAL', reason: 'AGENT_LOST', effect: 'UNKNOWN' },
  ],
  [
    'the agent lied',
    { account: { reason: StopReason.ABANDONED }, failure: new Failure('AGENT_PROTOCOL', 'lie') },
    { outcome: 'INTERNAL', reason: 'AGENT_PROTOCOL', effect: 'STARTED' },
  ],
  [
    'the launcher died',
    { account: undefined, failure: new Failure('LAUNCHER_LOST', 'gone') },
    { outcome: 'INTERNAL', reason: 'LAUNCHER_LOST', effect: 'UNKNOWN' },
  ],
  [
    'the launcher died before Exec',
    { reached: 'preparing', account: undefined, failure: new Failure('LAUNCHER_LOST', 'gone') },
    { outcome: 'INTERNAL', reason: 'LAUNCHER_LOST', effect: 'NEVER_STARTED' },
  ],
  [
    'the launcher died after the exit was told',
    { report: exited(3), account: undefined, failure: new Failure('LAUNCHER_LOST', 'gone') },
    { outcome: 'EXITED', reason: 'EXITED', effect: 'COMPLETED', exitCode: 3 },
  ],
  [
    'drained away',
    { report: signaled(9), account: { reason: StopReason.ABANDONED }, failure: new Failure('WORKER_DRAINED', 'drain') },
    { outcome: 'WORKER_LOST', reason: 'WORKER_DRAINED', effect: 'STARTED' },
  ],
  [
    'a limit before the drain',
    { report: signaled(9), account: { reason: StopReason.OOM }, failure: new Failure('WORKER_DRAINED', 'drain') },
    { outcome: 'OOM_KILLED', reason: 'MEMORY_LIMIT', effect: 'STARTED' },
  ],
]

for (const [name, ending, { outcome, effect, ...expected }] of cases) {
  test(`verdict: ${name}`, () => {
    const verdict = verdictOf({ ...plain, ...ending })
    const { reason, exitCode, signal } = verdict
    assert.equal(Outcome[verdict.outcome ?? 0], outcome)
    assert.equal(Effect[verdict.effect ?? 0], effect)
    assert.deepEqual({ reason, exitCode, signal }, { exitCode: undefined, signal: undefined, ...expected })
    assert.ok(verdict.message)
  })
}

test('what the kernel does not count stays absent on the wire', () => {
  const verdict = verdictOf({ ...plain, report: exited(0), account: { wallUs: 7 } })
  const { usage, observed } = caisson.v1.Verdict.decode(caisson.v1.Verdict.encode(verdict).finish())
  assert.deepEqual({ ...usage }, { wallUs: 7, outputBytes: 0 })
  const judged = { cpuExceeded: false, wallExceeded: false, outputExceeded: false, agentLost: false }
  assert.deepEqual({ ...observed }, judged)
})

test('retry: our failure, and only before the start unless the client allows it', () => {
  const before = { outcome: Outcome.INTERNAL, reason: 'SANDBOX_FAILED', effect: Effect.NEVER_STARTED }
  const after = { outcome: Outcome.WORKER_LOST, reason: 'WORKER_DRAINED', effect: Effect.STARTED }
  assert.ok(mayRetry(before, {}))
  assert.ok(!mayRetry(after, {}))
  assert.ok(mayRetry(after, { retryAfterStart: true }))
  assert.ok(!mayRetry({ outcome: Outcome.IMAGE_ERROR, reason: 'COMMAND_NOT_FOUND', effect: Effect.NEVER_STARTED }, {}))
  assert.ok(!mayRetry({ outcome: Outcome.EXITED, reason: 'EXITED', effect: Effect.COMPLETED }, { retryAfterStart: true }))
})
