import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import type { QueueName } from '../proto/job.js'
import { eventsKey, runKey, stateKey, workerRunsKey } from '../proto/keys.js'
import { caisson } from '../proto/messages.js'
import { isStateName, stateNames, stateNumber, transitions } from '../proto/state.js'
import { readEvents } from './events.js'
import { takeRun } from './scratch.js'
import { aRun, ScratchRuns } from './scratchRuns.js'
import type { NewRun } from './submissions.js'
import type { AtHand, TakeRequest } from './take.js'
import { verdictOf } from './verdicts.js'

const { State, Stream, Outcome, Effect } = caisson.v1
const placement = { workerId: 'w1', backend: caisson.v1.Backend.BACKEND_CONTAINER }
const request = (queue: QueueName, token: string): TakeRequest => ({ queue, token, lockMs: 30_000, placement })
const exited = verdictOf('EXITED', Effect.COMPLETED, '')

const scratch = await ScratchRuns.open()
const { redis, runs, submissions } = scratch
after(() => scratch[Symbol.asyncDispose]())

async function running(over: Partial<NewRun> = {}): Promise<string> {
  const runId = await scratch.created(over)
  assert.ok(await takeRun(runs, runId, placement))
  assert.ok(await runs.starting(runId, 1, 'sha256:00'))
  assert.ok(await runs.running(runId, 1))
  return runId
}

const output = (offset: number, data: Uint8Array, stream = Stream.STDOUT) => ({ output: { stream, offset, data, attempt: 1 } })

async function outputOf(runId: string): Promise<Buffer> {
  const events = await readEvents(redis, runId)
  return Buffer.concat(events.flatMap(({ output }) => (output?.data ? [output.data] : [])))
}

const statesOf = async (runId: string) =>
  (await readEvents(redis, runId)).flatMap(({ state }) => (state?.state ? [State[state.state]] : []))

describe('the way of a run', () => {
  test('from the queue to its verdict, through BullMQ', async () => {
    const spec = { image: 'oci:/i', args: ['sh', '-c', 'x'], env: { A: '1', ['__proto__']: 'kept' }, labels: { team: 'x' } }
    const runId = await scratch.created({ spec })
    const claimed = await takeRun(runs, runId, placement)
    assert.deepEqual(claimed?.spec.args, spec.args)
    assert.equal(Object.getOwnPropertyDescriptor(claimed?.spec.env ?? {}, '__proto__')?.value, 'kept')
    assert.equal(claimed?.limits.wallMs, 1000)
    assert.deepEqual(await redis.smembers(workerRunsKey('w1')), [runId])
    assert.ok(await runs.starting(runId, 1, 'sha256:ab'))
    const bytes = Buffer.from([0, 255, 10, 13, 0])
    assert.ok(await runs.report(runId, 1, { running: true, events: [output(0, bytes)], verdict: { ...exited, exitCode: 42 } }))

    const run = await runs.get(runId)
    assert.equal(run?.state, State.ENDED)
    assert.equal(run?.verdict?.exitCode, 42)
    assert.equal(run?.imageDigest, 'sha256:ab')
    assert.equal(run?.placement?.workerId, 'w1')
    assert.ok(run?.startedAt && run.endedAt && run.submittedAt)
    assert.deepEqual(await statesOf(runId), ['QUEUED', 'PREPARING', 'STARTING', 'RUNNING'])
    assert.deepEqual(await outputOf(runId), bytes)
    assert.equal((await readEvents(redis, runId)).at(-1)?.verdict?.exitCode, 42)
    assert.deepEqual(await redis.smembers(workerRunsKey('w1')), [])
    for (const key of [runKey(runId), eventsKey(runId)]) assert.ok((await redis.pttl(key)) > 50_000)
    assert.equal(await redis.zscore(stateKey('ENDED'), runId), '0')
  })

  test('a lower priority number is taken first', async () => {
    const late = await scratch.created({ queue: 'microvm', spec: { image: 'i', priority: 1_000_000 } })
    const middle = await scratch.created({ queue: 'microvm', spec: { image: 'i', priority: 7 } })
    const first = await scratch.created({ queue: 'microvm' })
    const order: (string | undefined)[] = []
    for (let i = 0; i < 3; i++) order.push((await runs.take(request('microvm', `t${i}`))).run?.runId)
    assert.deepEqual(order, [first, middle, late])
  })

  test('no more runs than may wait', async () => {
    const waiting = await redis.zcard(stateKey('QUEUED'))
    assert.equal((await submissions.create(aRun({ maxWaiting: waiting + 1 }))).outcome, 'created')
    assert.equal((await submissions.create(aRun({ maxWaiting: waiting + 1 }))).outcome, 'full')
  })
})

describe('a run that can start at once', () => {
  const digests: [string, string][] = [
    ['oci:/images/b', 'sha256:bb'],
    ['oci:/images/a', 'sha256:aa'],
  ]
  const spec = { image: 'oci:/images/a', args: ['true'] }
  const limits = { wallMs: 1000, cpuMillis: 500, memoryBytes: 1000 }
  const take = (token: string, atHand: Partial<AtHand> = {}) =>
    runs.take({ ...request('container', token), atHand: { cpuMillis: 500, memoryBytes: 1000, digests, ...atHand } })

  before(() => takeRun(runs, 'whatever waits', placement))

  test('is STARTING as soon as it is taken, also where the answer was lost', async () => {
    const runId = await scratch.created({ spec, limits })
    for (let tries = 0; tries < 2; tries++) {
      const { run } = await take('once')
      assert.deepEqual([run?.runId, run?.startingWith], [runId, 'sha256:aa'])
    }
    assert.deepEqual(await statesOf(runId), ['QUEUED', 'PREPARING', 'STARTING'])
    assert.equal((await runs.get(runId))?.imageDigest, 'sha256:aa')
    assert.ok(await runs.starting(runId, 1, 'sha256:cc'))
    assert.equal((await runs.get(runId))?.imageDigest, 'sha256:cc')
    assert.deepEqual(await statesOf(runId), ['QUEUED', 'PREPARING', 'STARTING'])
    assert.ok(await runs.report(runId, 1, { running: true, verdict: exited }))
  })

  for (const [why, over, atHand] of [
    ['another image', { spec: { ...spec, image: 'oci:/images/c' } }, {}],
    ['a registry to be asked again', { spec: { ...spec, pull: caisson.v1.Pull.ALWAYS } }, {}],
    ['a credential', { sealCredential: () => Buffer.from('x') }, {}],
    ['too few processors', {}, { cpuMillis: 499 }],
    ['too little memory', {}, { memoryBytes: 999 }],
  ] as [string, Partial<NewRun>, Partial<AtHand>][]) {
    test(`is PREPARING with ${why}`, async () => {
      const runId = await scratch.created({ spec, limits, ...over })
      const { run } = await take(why, atHand)
      assert.deepEqual([run?.runId, run?.startingWith], [runId, ''])
      assert.deepEqual(await statesOf(runId), ['QUEUED', 'PREPARING'])
      assert.ok(await runs.end(runId, 1, exited))
    })
  }
})

describe('fencing', () => {
  test('an attempt writes nothing after the next one was queued', async () => {
    const runId = await running()
    assert.ok(await runs.append(runId, 1, [output(0, Buffer.from('old'))]))
    assert.ok(await runs.requeue(runId, 1, 'the worker was restarted'))
    assert.equal(await runs.append(runId, 1, [output(3, Buffer.from('late'))]), false)
    assert.equal(await runs.end(runId, 1, exited), false)
    assert.equal(await runs.starting(runId, 1, 'x'), false)
    assert.equal((await takeRun(runs, runId, placement))?.attempt, 2)
    assert.ok(await runs.starting(runId, 2, 'sha256:1'))
    assert.equal(await runs.append(runId, 1, [output(0, Buffer.from('late'))]), false)
    assert.ok(await runs.append(runId, 2, [output(0, Buffer.from('new'))]))
    assert.equal((await outputOf(runId)).toString(), 'oldnew')
  })

  test('a run that control ended is left alone by its worker', async () => {
    const runId = await running()
    assert.ok(await submissions.close(runId, 1, 'RUNNING', verdictOf('WORKER_LOST', Effect.STARTED, '')))
    assert.equal(await runs.append(runId, 1, [output(0, Buffer.from('x'))]), false)
    assert.equal(await runs.end(runId, 1, exited), false)
    assert.equal(await runs.requeue(runId, 1, ''), false)
    assert.equal((await runs.get(runId))?.verdict?.outcome, Outcome.WORKER_LOST)
  })

  test('control does not end a run that went on meanwhile', async () => {
    const runId = await running()
    assert.equal(await submissions.close(runId, 1, 'STARTING', exited), false)
    assert.equal(await submissions.close(runId, 2, 'RUNNING', exited), false)
  })

  test('one job is taken once, and also where the same request comes again', async () => {
    await takeRun(runs, 'none', placement)
    const runId = await scratch.created()
    const takes = await Promise.all([1, 2, 3].map((i) => runs.take(request('container', `one${i}`))))
    assert.deepEqual(
      takes.flatMap(({ run }) => run?.runId ?? []),
      [runId],
    )
    const token = `one${takes.findIndex(({ run }) => run) + 1}`
    assert.equal((await runs.take(request('container', token))).run?.runId, runId)
    assert.equal((await runs.take(request('container', 'another'))).run, undefined)
  })

  test('with its verdict, or its next attempt, the job is gone', async () => {
    const jobs = () => redis.keys('caisson:bull:container:r*')
    await takeRun(runs, 'none', placement)
    const before = (await jobs()).length
    const runId = await scratch.created()
    assert.ok(await takeRun(runs, runId, placement))
    assert.ok(await runs.requeue(runId, 1, 'again'))
    assert.ok(!(await jobs()).some((key) => key.endsWith(`${runId}-1`)))
    assert.ok(await takeRun(runs, runId, placement))
    assert.ok(await runs.end(runId, 2, exited))
    assert.equal((await jobs()).length, before)
    assert.equal(await redis.zcard('caisson:bull:container:marker'), 0)
  })

  test('three attempts, not four', async () => {
    const runId = await scratch.created()
    for (const attempt of [1, 2]) {
      assert.equal((await takeRun(runs, runId, placement))?.attempt, attempt)
      assert.ok(await runs.requeue(runId, attempt, 'again'))
      assert.ok(await runs.requeue(runId, attempt, 'again'), 'a repeated requeue finds its work done')
    }
    assert.ok(await takeRun(runs, runId, placement))
    assert.equal(await runs.requeue(runId, 3, 'again'), false)
  })
})

test('whatever is called in whatever order, states change only as the table allows', async () => {
  const operations: ((runId: string, attempt: number) => Promise<unknown>)[] = [
    (runId) => takeRun(runs, runId, placement),
    (runId, attempt) => runs.starting(runId, attempt, 'sha256:1'),
    (runId, attempt) => runs.running(runId, attempt).catch(() => {}),
    (runId, attempt) => runs.end(runId, attempt, exited),
    (runId, attempt) => runs.requeue(runId, attempt, ''),
    (runId) => submissions.cancel(runId),
    (runId, attempt) => submissions.close(runId, attempt, 'RUNNING', exited),
  ]
  const steps = fc.array(fc.tuple(fc.nat(operations.length - 1), fc.integer({ min: 1, max: 4 })), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(steps, async (steps) => {
      const runId = await scratch.created()
      for (const [operation, attempt] of steps) await operations[operation]?.(runId, attempt)
      const run = await runs.get(runId)
      const states = (await statesOf(runId)).filter(isStateName)
      if (run?.verdict) states.push('ENDED')
      for (const [i, state] of states.entries()) {
        const next = states[i + 1]
        if (next) assert.ok(transitions[state].includes(next), states.join(' → '))
      }
      const last = states.at(-1)
      assert.equal(run?.state, last && stateNumber(last))
      for (const name of stateNames) assert.equal((await redis.zscore(stateKey(name), runId)) !== null, name === last)
    }),
    { numRuns: 60 },
  )
})

describe('what is sent again is done once', () => {
  test('reports, ends, starts', async () => {
    const runId = await running()
    const report = { running: true, events: [output(0, Buffer.from('abc')), { truncated: { limitBytes: 3 } }], verdict: exited }
    for (let i = 0; i < 3; i++) assert.ok(await runs.report(runId, 1, report))
    assert.ok(await runs.starting(runId, 1, 'x'))
    const events = await readEvents(redis, runId)
    assert.equal(events.length, 7)
    assert.equal((await outputOf(runId)).toString(), 'abc')
  })

  test('output by stream and offset; a gap is refused and writes nothing', async () => {
    const runId = await running()
    const a = output(0, Buffer.from('aa'))
    const b = output(0, Buffer.from('b'), Stream.STDERR)
    assert.ok(await runs.append(runId, 1, [a]))
    assert.ok(await runs.append(runId, 1, [a, b, output(2, Buffer.from('cc'))]))
    await assert.rejects(runs.append(runId, 1, [output(4, Buffer.from('d')), output(9, Buffer.from('e'))]), /OFFSET .* 5 bytes/)
    await assert.rejects(runs.append(runId, 1, [output(3, Buffer.from('xyz'))]), /OFFSET/)
    assert.equal((await outputOf(runId)).toString(), 'aabcc')
  })

  test('every byte as it was', async () => {
    const runId = await running()
    const bytes = randomBytes(256 << 10)
    assert.ok(await runs.append(runId, 1, [output(0, bytes)]))
    assert.ok((await outputOf(runId)).equals(bytes))
  })
})

test('Redis is killed and restarted while an attempt writes: no byte is lost or doubled', async () => {
  const runId = await running()
  let sent = 0
  const writer = (async () => {
    for (let i = 0; i < 400; i++) {
      const data = Buffer.from(`${i} `)
      assert.ok(await runs.append(runId, 1, [output(sent, data)]))
      sent += data.length
    }
  })()
  while (sent < 100) await delay(1)
  await scratch.server.restart(() => delay(300))
  await writer
  assert.equal((await outputOf(runId)).toString(), Array.from({ length: 400 }, (_, i) => `${i} `).join(''))
  assert.ok(await runs.end(runId, 1, exited))
})
