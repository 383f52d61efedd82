import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { inboxKey } from '../proto/keys.js'
import { caisson } from '../proto/messages.js'
import { Inbox, type Message, mostWaitingBytes, mostWaitingMessages } from './inbox.js'
import { takeRun } from './scratch.js'
import { ScratchRuns } from './scratchRuns.js'
import { StreamTail } from './tail.js'
import { verdictOf } from './verdicts.js'

const scratch = await ScratchRuns.open()
const { redis, runs, submissions } = scratch
const tail = new StreamTail(scratch.server.tail(), redis)
const inbox = new Inbox(redis, tail)
after(() => {
  tail.close()
  return scratch[Symbol.asyncDispose]()
})

const placement = { workerId: 'w1' }
const forever = () => new AbortController().signal

async function attached(stdinAttach = true): Promise<string> {
  const runId = await scratch.created({ spec: { image: 'i', ...(stdinAttach && { stdinAttach }) } })
  assert.ok(await takeRun(runs, runId, placement))
  assert.ok(await runs.starting(runId, 1, 'sha256:1'))
  return runId
}

async function received(runId: string, count: number): Promise<Message[]> {
  const messages: Message[] = []
  for await (const message of inbox.messages(runId, forever())) {
    messages.push(message)
    if (messages.length === count) break
  }
  return messages
}

describe('inbox', () => {
  test('everything in order, bytes as they were', async () => {
    const runId = await attached()
    const bytes = Buffer.from([0, 255, 10, 0])
    assert.deepEqual(await inbox.sendData(runId, bytes, undefined, true), { outcome: 'ok', sentBytes: 4, takenId: '0-0' })
    await inbox.sendSignal(runId, 15, false)
    await inbox.sendSignal(runId, 2, true)
    await inbox.sendData(runId, Buffer.from('more'), 4, true)
    await inbox.sendEnd(runId)
    await submissions.cancel(runId)
    const messages = await received(runId, 6)
    assert.deepEqual(
      messages.map(({ id, ...message }) => message),
      [
        { kind: 'data', offset: 0, data: bytes },
        { kind: 'signal', signal: 15, group: false },
        { kind: 'signal', signal: 2, group: true },
        { kind: 'data', offset: 4, data: Buffer.from('more') },
        { kind: 'end' },
        { kind: 'cancel' },
      ],
    )
  })

  test('what is sent again is recorded once, partly or wholly', async () => {
    const runId = await attached()
    await inbox.sendData(runId, Buffer.from('abcdef'), 0, false)
    await inbox.sendData(runId, Buffer.from('abc'), 0, false)
    assert.equal((await inbox.sendData(runId, Buffer.from('efgh'), 4, false)).sentBytes, 8)
    assert.equal((await inbox.sendData(runId, Buffer.from('x'), 9, false)).outcome, 'gap')
    assert.equal((await inbox.sendData(runId, Buffer.from('x'), 7, true)).outcome, 'contended')
    await inbox.sendEnd(runId)
    assert.equal((await inbox.sendEnd(runId)).outcome, 'ok')
    assert.equal((await inbox.sendData(runId, Buffer.from('gh'), 6, false)).outcome, 'ok')
    assert.equal((await inbox.sendData(runId, Buffer.from('x'), 8, false)).outcome, 'closed')
    const [first, second, end] = await received(runId, 3)
    assert.equal(first?.kind === 'data' && first.data.toString(), 'abcdef')
    assert.equal(second?.kind === 'data' && second.data.toString(), 'gh')
    assert.equal(end?.kind, 'end')
  })

  test('full until the program has taken some, without polling', async () => {
    const runId = await attached()
    const chunk = Buffer.alloc(256 << 10, 7)
    for (let sent = 0; sent < mostWaitingBytes; sent += chunk.length) {
      assert.equal((await inbox.sendData(runId, chunk, sent, true)).outcome, 'ok')
    }
    const full = await inbox.sendData(runId, chunk, mostWaitingBytes, true)
    assert.equal(full.outcome, 'full')
    const room = inbox.room(runId, full.takenId, forever())
    await sleep(10)
    const [first] = await received(runId, 1)
    assert.ok(await inbox.taken(runId, 1, chunk.length, first?.id ?? ''))
    await room
    assert.equal((await inbox.sendData(runId, chunk, mostWaitingBytes, true)).outcome, 'ok')
    assert.equal(await redis.xlen(inboxKey(runId)), mostWaitingBytes / chunk.length)
    assert.equal(await inbox.taken(runId, 2, 1, first?.id ?? ''), false, 'fenced')
    assert.equal(await runs.requeue(runId, 1, ''), false, 'input that was taken cannot be given to another attempt')
  })

  test('signals are bounded too', async () => {
    const runId = await attached(false)
    for (let i = 0; i < mostWaitingMessages; i++) await inbox.sendSignal(runId, 1, false)
    assert.equal((await inbox.sendSignal(runId, 1, false)).outcome, 'full')
    assert.equal(await submissions.cancel(runId), 'told')
  })

  test('the end of the run lets a waiting client go', async () => {
    const runId = await attached()
    const chunk = Buffer.alloc(1 << 20)
    for (let i = 0; i < 4; i++) await inbox.sendData(runId, chunk, undefined, false)
    const full = await inbox.sendData(runId, chunk, undefined, false)
    const room = inbox.room(runId, full.takenId, forever())
    await runs.end(runId, 1, verdictOf('EXITED', caisson.v1.Effect.COMPLETED, ''))
    await room
    assert.equal((await inbox.sendData(runId, chunk, undefined, false)).outcome, 'ended')
    assert.equal(await redis.exists(inboxKey(runId)), 0)
  })

  test('no input for a run without stdin_attach, or for none', async () => {
    const runId = await attached(false)
    assert.equal((await inbox.sendData(runId, Buffer.from('x'), undefined, true)).outcome, 'detached')
    assert.equal((await inbox.sendEnd(runId)).outcome, 'detached')
    assert.equal((await inbox.sendSignal('r0000000000000000000000000', 1, false)).outcome, 'gone')
  })
})
