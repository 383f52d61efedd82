// Everything of a run but the walls: real Redis and BullMQ, a scripted launcher and agent.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { readKeys, verifyReceipt } from '../client/sdk/receipt.js'
import { caisson } from '../proto/messages.js'
import { specDigest } from '../proto/specDigest.js'
import { ImageError } from './image/failure.js'
import { mebibyte, programs } from './scripted/programs.js'
import { image, outcomes, World } from './scripted/world.js'

const { State } = caisson.v1
const { StopReason } = caisson.launch.v1

let world: World
before(async () => {
  world = await World.open(programs)
})
beforeEach(() => {
  world.prepare = async () => image
  world.launcher.failStart = undefined
  world.launcher.failPrepare = undefined
  world.launcher.account = { wallUs: 1000, memoryPeakBytes: 4096 }
  world.logged.length = 0
})
after(() => world[Symbol.asyncDispose]())

describe('a program ends by itself', () => {
  test('exit codes, with states, stages and usage', async () => {
    for (const code of [0, 1, 42, 126, 127, 255]) {
      const { verdict } = await world.run({ args: ['exit', String(code)] })
      assert.equal(verdict.exitCode, code)
    }
    const { verdict, events } = await world.run({ args: ['exit', '0'] })
    assert.deepEqual(
      events.flatMap(({ state }) => (state ? [State[state.state ?? 0]] : [])),
      ['QUEUED', 'PREPARING', 'STARTING', 'RUNNING'],
    )
    assert.equal(events.at(-1)?.event, 'verdict')
    assert.deepEqual({ ...verdict.usage }, { wallUs: 1000, memoryPeakBytes: 4096, outputBytes: 0 })
    assert.ok((verdict.stages?.sandboxUs ?? 0) > 0)
    assert.deepEqual(world.logged, [])
  })

  test('each end comes with a receipt, and only what had a sandbox has a wall', async () => {
    const keys = readKeys(world.host.receiptKey.publicKey)
    const receiptOf = async (runId: string) => {
      await world.end(runId)
      const receipt = await world.host.runs.receipt(runId)
      const { predicate, subject } = verifyReceipt(receipt?.envelope ?? Buffer.alloc(0), keys)
      const { spec } = await world.record(runId)
      assert.equal(predicate.run.id, runId)
      assert.equal(subject[0]?.digest.sha256, specDigest(spec ?? {}))
      return predicate
    }
    const exited = await receiptOf(await world.submit({ args: ['exit', '3'], env: { B: '1', A: '2' } }))
    assert.deepEqual(exited.verdict, { outcome: 'EXITED', reason: 'EXITED', effect: 'COMPLETED', exitCode: 3 })
    assert.equal(exited.wall?.backend, 'container')
    assert.equal(exited.limits?.agent?.['openFiles'], 100)
    assert.ok(exited.run.startedAt)
    world.prepare = async () => {
      throw new ImageError('IMAGE_NOT_FOUND', 'no such image')
    }
    const refused = await receiptOf(await world.submit({ args: ['exit', '0'] }))
    assert.equal(refused.verdict.reason, 'IMAGE_NOT_FOUND')
    assert.deepEqual(Object.keys(refused), ['run', 'verdict', 'worker'])
  })

  test('a signal, a missing command', async () => {
    assert.deepEqual(outcomes(await world.run({ args: ['signal'] })), ['SIGNALED', 'SIGNALED', 'COMPLETED'])
    const missing = await world.run({ args: ['nope'] })
    assert.deepEqual(outcomes(missing), ['IMAGE_ERROR', 'COMMAND_NOT_FOUND', 'NEVER_STARTED'])
    assert.match(missing.verdict.message ?? '', /spec\.args: exec nope: ENOENT/)
  })

  test('output, byte for byte, streams apart and in order', async () => {
    const { stdout, stderr, events } = await world.run({ args: ['talk'] })
    assert.equal(stdout.toString(), 'out 1\nout 2\n')
    assert.equal(stderr.toString(), 'err\n')
    assert.deepEqual(
      events.flatMap(({ output }) => (output ? [output.stream] : [])),
      [1, 2, 1],
    )
  })

  test('much output', async () => {
    const { stdout, verdict } = await world.run({ args: ['flood', '8'] }, { outputBytes: 8 << 20 })
    assert.deepEqual(stdout, Buffer.concat(Array(8).fill(mebibyte)))
    assert.equal(verdict.usage?.outputBytes, 8 << 20)
    assert.deepEqual(outcomes({ verdict }), ['EXITED', 'EXITED', 'COMPLETED'])
  })
})

describe('a program is stopped', () => {
  test('by limits that the launcher watches', async () => {
    const reasons = { OOM: 'MEMORY_LIMIT', CPU_TIME: 'CPU_LIMIT', WALL_TIME: 'WALL_LIMIT' } as const
    for (const [name, reason] of Object.entries(reasons)) {
      const ended = await world.run({ args: [`stop:${StopReason[name as keyof typeof reasons]}`] })
      assert.equal(ended.verdict.reason, reason)
    }
  })

  test('by the output limit: exact, then Truncated', async () => {
    const { verdict, stdout, events } = await world.run({ args: ['endless'] }, { outputBytes: 3_000_001 })
    assert.deepEqual(outcomes({ verdict }), ['OUTPUT_LIMIT', 'OUTPUT_LIMIT', 'STARTED'])
    assert.deepEqual(stdout, Buffer.concat(Array(3).fill(mebibyte)).subarray(0, 3_000_001))
    assert.equal(events.at(-2)?.truncated?.limitBytes, 3_000_001)
    assert.ok(verdict.observed?.outputExceeded)
  })

  test('by cancel, while it runs and before', async () => {
    const runId = await world.submit({ args: ['sleep'] })
    await world.until(runId, State.RUNNING)
    assert.equal(await world.submissions.cancel(runId), 'told')
    assert.deepEqual(outcomes(await world.end(runId)), ['CANCELLED', 'CANCELLED', 'STARTED'])

    world.prepare = () => new Promise(() => {})
    const early = await world.submit({ args: ['exit', '0'] })
    await world.until(early, State.PREPARING)
    await world.submissions.cancel(early)
    assert.deepEqual(outcomes(await world.end(early)), ['CANCELLED', 'CANCELLED', 'NEVER_STARTED'])
    assert.equal(world.host.capacity.active, 0)
  })

  test('by its start deadline, while it waits for what it needs', async () => {
    world.prepare = () => new Promise(() => {})
    const { verdict } = await world.run({ args: ['exit', '0'], startWithinMs: 200 })
    assert.deepEqual(outcomes({ verdict }), ['EXPIRED_IN_QUEUE', 'START_DEADLINE', 'NEVER_STARTED'])
    world.prepare = async () => image
    assert.equal((await world.run({ args: ['exit', '3'], startWithinMs: 10_000 })).verdict.exitCode, 3)
  })

  test('and an agent that then says nothing has bounded time', async () => {
    const runId = await world.submit({ args: ['mute'] })
    await world.until(runId, State.RUNNING)
    const since = performance.now()
    await world.submissions.cancel(runId)
    assert.deepEqual(outcomes(await world.end(runId)), ['CANCELLED', 'CANCELLED', 'STARTED'])
    assert.ok(performance.now() - since < 4000)
  })
})

describe('input', () => {
  test('inline, more than its credit', async () => {
    const sent = randomBytes(50_000)
    const { stdout } = await world.run({ args: ['cat'], stdinInline: sent })
    assert.deepEqual(stdout, sent)
  })

  test('attached: sent before and after the start, trimmed when taken', async () => {
    const runId = await world.submit({ args: ['cat'], stdinAttach: true })
    const sent = Buffer.alloc(300_000, 'abc')
    for (let at = 0; at < sent.length; at += 10_000) {
      await world.inbox.sendData(runId, sent.subarray(at, at + 10_000), at, false)
    }
    await world.inbox.sendEnd(runId)
    const { stdout } = await world.end(runId)
    assert.deepEqual(stdout, sent)
  })

  test('signals reach a program that reads nothing', async () => {
    const runId = await world.submit({ args: ['trap'], stdinAttach: true })
    await world.until(runId, State.RUNNING)
    await world.inbox.sendData(runId, Buffer.alloc(200_000), 0, false)
    await world.inbox.sendSignal(runId, 15, false)
    assert.equal((await world.end(runId)).verdict.exitCode, 15)
  })
})

describe('what is not the program', () => {
  test('an image error is final', async () => {
    world.prepare = () => Promise.reject(new ImageError('IMAGE_NOT_FOUND', 'spec.image: nothing there'))
    const { verdict, events } = await world.run({ args: ['exit', '0'] })
    assert.deepEqual(outcomes({ verdict }), ['IMAGE_ERROR', 'IMAGE_NOT_FOUND', 'NEVER_STARTED'])
    assert.equal(events.filter(({ state }) => state?.state === State.QUEUED).length, 1)
  })

  test('a start that fails is tried three times', async () => {
    world.launcher.failStart = { step: 'mount overlay', errno: 1, message: 'mount overlay: EPERM' }
    const before = world.launcher.starts.length
    const { verdict, events } = await world.run({ args: ['exit', '0'] })
    assert.deepEqual(outcomes({ verdict }), ['INTERNAL', 'SANDBOX_FAILED', 'NEVER_STARTED'])
    assert.match(verdict.message ?? '', /mount overlay: EPERM/)
    assert.equal(world.launcher.starts.length - before, 3)
    assert.equal(events.filter(({ state }) => state?.state === State.QUEUED).length, 3)
  })

  test('a seccomp that fails is ours, and tried again', async () => {
    assert.deepEqual(outcomes(await world.run({ args: ['seccomp'] })), ['INTERNAL', 'SANDBOX_FAILED', 'NEVER_STARTED'])
  })

  test('an agent that dies', async () => {
    assert.deepEqual(outcomes(await world.run({ args: ['die'] })), ['INTERNAL', 'AGENT_LOST', 'UNKNOWN'])
  })

  test('an agent that lies', async () => {
    assert.deepEqual(outcomes(await world.run({ args: ['lie'] })), ['INTERNAL', 'AGENT_PROTOCOL', 'STARTED'])
  })

  test('a failure after the start is tried again only if the client allows it', async () => {
    const { events } = await world.run({ args: ['die'], retryAfterStart: true })
    assert.equal(events.filter(({ state }) => state?.state === State.RUNNING).length, 3)
  })

  test('another attempt fences this one off', async () => {
    const runId = await world.submit({ args: ['sleep'] })
    await world.until(runId, State.RUNNING)
    const sockets = world.launcher.open.size
    assert.ok(await world.host.runs.requeue(runId, 1, 'stolen'))
    await world.until(runId, State.RUNNING)
    assert.equal((await world.record(runId)).attempt, 2)
    await world.submissions.cancel(runId)
    assert.deepEqual(outcomes(await world.end(runId)), ['CANCELLED', 'CANCELLED', 'STARTED'])
    assert.ok(sockets > 0)
  })

  test('Redis away for two seconds: nothing lost, nothing doubled', async () => {
    const runId = await world.submit({ args: ['flood', '64'] }, { outputBytes: 1 << 30 })
    await world.until(runId, State.RUNNING)
    await world.redis.restart(() => delay(2000))
    const { stdout, verdict } = await world.end(runId)
    assert.deepEqual(outcomes({ verdict }), ['EXITED', 'EXITED', 'COMPLETED'])
    assert.ok(stdout.equals(Buffer.concat(Array(64).fill(mebibyte))))
  })
})
