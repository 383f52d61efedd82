import assert from 'node:assert/strict'
import { test } from 'node:test'
import { caisson } from '../../proto/messages.js'
import { readEvent, readRun } from './decode.js'
import { eventJson, runJson } from './json.js'

const v1 = caisson.v1
const time = { seconds: 1_700_000_000, nanos: 5_000_000 }
const wire = (event: caisson.v1.IRunEvent) =>
  JSON.parse(
    JSON.stringify(
      eventJson(readEvent(v1.RunEvent.decode(v1.RunEvent.encode({ runId: 'r', cursor: 'c', time, ...event }).finish()))),
    ),
  )
const head = { runId: 'r', cursor: 'c', time: '2023-11-14T22:13:20.005Z' }

test('output is text where it is UTF-8, else base64', () => {
  const output = { stream: v1.Stream.STDERR, offset: 7, attempt: 1 }
  const json = { ...head, type: 'output', stream: 'stderr', offset: 7, attempt: 1 }
  assert.deepEqual(wire({ output: { ...output, data: Buffer.from('é\n') } }), { ...json, text: 'é\n' })
  assert.deepEqual(wire({ output: { ...output, data: Buffer.from([0xc3]) } }), { ...json, base64: 'ww==' })
})

test('names instead of numbers', () => {
  const placement = { workerId: 'w', backend: v1.Backend.BACKEND_CONTAINER }
  assert.deepEqual(wire({ state: { state: v1.State.RUNNING, attempt: 1, placement } }), {
    ...head,
    type: 'state',
    state: 'RUNNING',
    attempt: 1,
    message: '',
    placement: { workerId: 'w', backend: 'container', vmm: '', accelerator: '' },
  })
})

test('a verdict holds what was measured, and nothing that was not', () => {
  const { verdict } = wire({
    verdict: { outcome: v1.Outcome.OOM_KILLED, effect: v1.Effect.STARTED, usage: { wallUs: 5 }, observed: { oomKills: 1 } },
  })
  assert.equal(verdict.outcome, 'OOM_KILLED')
  assert.equal(verdict.effect, 'STARTED')
  assert.deepEqual(verdict.usage, { wallUs: 5 })
  assert.equal(verdict.observed.oomKills, 1)
  assert.ok(!('exitCode' in verdict) && !('signal' in verdict))
  assert.equal(wire({ verdict: { outcome: v1.Outcome.EXITED } }).verdict.exitCode, 0)
})

test('a run reads back as it was written', () => {
  const spec = { image: 'oci:/x', args: ['a'], stdinInline: Buffer.from('in'), limits: { pids: 3 }, entrypoint: { words: [] } }
  const run = v1.Run.decode(v1.Run.encode({ runId: 'r', spec, state: v1.State.QUEUED, submittedAt: time }).finish())
  const json = JSON.parse(JSON.stringify(runJson(readRun(run))))
  assert.equal(json.state, 'QUEUED')
  assert.equal(json.submittedAt, head.time)
  assert.deepEqual(json.spec.stdin, { text: 'in' })
  assert.deepEqual(json.spec.entrypoint, [])
  assert.deepEqual(json.spec.limits, { pids: 3 })
  assert.equal(json.spec.isolation, 'MICROVM_PREFERRED')
})
