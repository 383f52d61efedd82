import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { caisson } from '../proto/messages.js'
import { type ScratchSystem, scratchSystem } from './scratch.js'
import { collect, failsWith, outputOf, type ScratchClient, spec, statesOf, untilState } from './scratchClient.js'

const { State, Outcome, Effect } = caisson.v1

let system: ScratchSystem
let client: ScratchClient

before(async () => {
  system = await scratchSystem()
  client = system.client
})
after(() => system[Symbol.asyncDispose]())

describe('the way of a run', () => {
  test('Run: every event, then the verdict, then the end of the stream', async () => {
    const events = await collect(client.run({ spec: spec('echo', 'hello') }))
    assert.deepEqual(statesOf(events), ['QUEUED', 'PREPARING', 'STARTING', 'RUNNING'])
    assert.equal(outputOf(events).toString(), 'hello')
    const last = events.at(-1)
    assert.equal(last?.verdict?.outcome, Outcome.EXITED)
    assert.ok(events.every((event) => event.runId === last?.runId && event.cursor !== ''))
    assert.equal(new Set(events.map(({ cursor }) => cursor)).size, events.length)
    assert.match(
      events[0]?.state?.message ?? '',
      /a container: no living worker offers a microVM that counts \(w1: no \/dev\/kvm\)/,
    )
  })

  test('Submit, Watch from every cursor, Get', async () => {
    const { runId, created } = await client.submit({ spec: { ...spec('echo', 'hello'), labels: { a: 'b' } } })
    assert.ok(created)
    const all = await collect(client.watch({ runId }))
    for (const [i, { cursor }] of all.entries()) {
      assert.deepEqual(await collect(client.watch({ runId, afterCursor: cursor })), all.slice(i + 1))
    }
    const run = await client.get({ runId })
    assert.equal(run.state, State.ENDED)
    assert.equal(run.imageDigest, 'sha256:11')
    assert.equal(run.limits?.memoryBytes, 256 << 20)
    assert.deepEqual({ ...run.spec?.labels }, { a: 'b' })
    assert.deepEqual(run.verdict, all.at(-1)?.verdict)
  })

  test('a watcher that is cut off again and again gets the same bytes', async () => {
    const { runId } = await client.submit({ spec: spec('flood', '200') })
    const whole = collect(client.watch({ runId }))
    const pieces: caisson.v1.RunEvent[] = []
    let cuts = 0
    while (pieces.at(-1)?.verdict == null) {
      const most = 1 + Math.floor(Math.random() * 5)
      let taken = 0
      for await (const event of client.watch({ runId, afterCursor: pieces.at(-1)?.cursor ?? '' })) {
        pieces.push(event)
        if (++taken === most) break
      }
      cuts++
    }
    assert.ok(cuts > 20)
    assert.deepEqual(pieces, await whole)
    assert.equal(outputOf(pieces).length, 200 * (64 << 10))
  })

  test('two hundred at once', async () => {
    const all = await Promise.all(Array.from({ length: 200 }, (_, i) => collect(client.run({ spec: spec('echo', `${i}`) }))))
    for (const [i, events] of all.entries()) assert.equal(outputOf(events).toString(), `${i}`)
  })

  test('the same key gives the same run, also to Run', async () => {
    const request = { spec: { ...spec('echo', 'once'), env: { A: '1', B: '2' } }, idempotencyKey: 'server-test-1' }
    const answers = await Promise.all(Array.from({ length: 50 }, () => client.submit(request)))
    assert.equal(new Set(answers.map(({ runId }) => runId)).size, 1)
    assert.equal(answers.filter(({ created }) => created).length, 1)
    const [event] = await collect(client.run(request))
    assert.equal(event?.runId, answers[0]?.runId)
    await assert.rejects(
      client.submit({ ...request, spec: spec('echo', 'other') }),
      failsWith(status.ALREADY_EXISTS, 'IDEMPOTENCY_CONFLICT'),
    )
  })
})

describe('attach, signals, cancel', () => {
  test('input is echoed, byte for byte, more of it than the inbox holds', async () => {
    const { runId } = await client.submit({ spec: { ...spec('cat'), stdinAttach: true } })
    const chunk = Buffer.from(Array.from({ length: 256 << 10 }, (_, i) => i % 251))
    function* messages(): Generator<caisson.v1.IAttachRequest> {
      for (let i = 0; i < 40; i++) yield { runId, data: chunk }
      yield { end: true }
    }
    const [answer, events] = await Promise.all([client.attach(messages()), collect(client.watch({ runId }))])
    assert.equal(answer.acceptedBytes, 40 * chunk.length)
    assert.ok(outputOf(events).equals(Buffer.concat(Array.from({ length: 40 }, () => chunk))))
  })

  test('input that is sent again with its offset is recorded once', async () => {
    const { runId } = await client.submit({ spec: { ...spec('cat'), stdinAttach: true } })
    assert.equal((await client.attach([{ runId, offset: 0, data: Buffer.from('abc') }])).acceptedBytes, 3)
    assert.equal((await client.attach([{ runId }])).acceptedBytes, 3)
    await assert.rejects(
      client.attach([{ runId, offset: 4, data: Buffer.from('x') }]),
      failsWith(status.OUT_OF_RANGE, 'INPUT_GAP'),
    )
    await client.attach([{ runId, offset: 1, data: Buffer.from('bcd') }, { end: true }])
    assert.equal(outputOf(await collect(client.watch({ runId }))).toString(), 'abcd')
  })

  test('what Attach refuses', async () => {
    const { runId } = await client.submit({ spec: spec('sleep') })
    const invalid = (field: string) => failsWith(status.INVALID_ARGUMENT, 'INVALID_FIELD', field)
    await assert.rejects(client.attach([]), invalid('run_id'))
    await assert.rejects(client.attach([{ data: Buffer.from('x') }]), invalid('run_id'))
    await assert.rejects(client.attach([{ runId, signal: 65 }]), invalid('signal'))
    await assert.rejects(client.attach([{ runId, data: Buffer.alloc((256 << 10) + 1) }]), invalid('data'))
    await assert.rejects(
      client.attach([{ runId, data: Buffer.from('x') }]),
      failsWith(status.FAILED_PRECONDITION, 'STDIN_NOT_ATTACHED'),
    )
    await client.attach([{ runId, signal: 15 }])
    const verdict = (await collect(client.watch({ runId }))).at(-1)?.verdict
    assert.deepEqual([verdict?.outcome, verdict?.signal], [Outcome.SIGNALED, 15])
    await assert.rejects(client.attach([{ runId, signal: 15 }]), failsWith(status.FAILED_PRECONDITION, 'RUN_ENDED'))
    await assert.rejects(
      client.attach([{ runId: `r${'0'.repeat(25)}`, signal: 15 }]),
      failsWith(status.NOT_FOUND, 'RUN_NOT_FOUND'),
    )
  })

  test('cancel, delete', async () => {
    const { runId } = await client.submit({ spec: spec('sleep') })
    await untilState(client, runId, State.RUNNING)
    await assert.rejects(client.delete({ runId }), failsWith(status.FAILED_PRECONDITION, 'RUN_NOT_ENDED'))
    assert.equal((await client.cancel({ runId })).cancelled, true)
    assert.equal((await collect(client.watch({ runId }))).at(-1)?.verdict?.outcome, Outcome.CANCELLED)
    assert.equal((await client.cancel({ runId })).cancelled, false)
    await client.delete({ runId })
    await assert.rejects(client.get({ runId }), failsWith(status.NOT_FOUND, 'RUN_NOT_FOUND'))
    await assert.rejects(collect(client.watch({ runId })), failsWith(status.NOT_FOUND, 'RUN_NOT_FOUND'))
  })

  test('nobody signs for a run that no worker ended, nor before the end', async () => {
    const waiting = { ...spec('echo', 'x'), isolation: caisson.v1.Isolation.MICROVM_REQUIRED, waitForWorker: true }
    const { runId } = await client.submit({ spec: waiting })
    await assert.rejects(client.getReceipt({ runId }), failsWith(status.FAILED_PRECONDITION, 'RUN_NOT_ENDED'))
    await client.cancel({ runId })
    await untilState(client, runId, State.ENDED)
    await assert.rejects(client.getReceipt({ runId }), failsWith(status.NOT_FOUND, 'NO_RECEIPT'))
    await client.delete({ runId })
    await assert.rejects(client.getReceipt({ runId }), failsWith(status.NOT_FOUND, 'RUN_NOT_FOUND'))
  })

  test('a run that waits for a worker ends at once', async () => {
    const request = { spec: { ...spec('echo'), isolation: caisson.v1.Isolation.MICROVM_REQUIRED, waitForWorker: true } }
    const { runId } = await client.submit(request)
    const watching = collect(client.watch({ runId }))
    await client.cancel({ runId })
    const verdict = (await watching).at(-1)?.verdict
    assert.deepEqual([verdict?.outcome, verdict?.effect], [Outcome.CANCELLED, Effect.NEVER_STARTED])
  })
})
