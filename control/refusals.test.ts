import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { caisson } from '../proto/messages.js'
import { type ScratchSystem, scratchSystem } from './scratch.js'
import { collect, failsWith, type ScratchClient, spec, untilState } from './scratchClient.js'

const { State } = caisson.v1

let system: ScratchSystem
let client: ScratchClient

before(async () => {
  system = await scratchSystem()
  client = system.client
})
after(() => system[Symbol.asyncDispose]())

describe('what is refused', () => {
  const invalid = (...fields: string[]) => failsWith(status.INVALID_ARGUMENT, 'INVALID_FIELD', ...fields)

  test('fields, all of them at once, and nothing is recorded', async () => {
    const before = (await client.list({ pageSize: 1 })).runs[0]?.runId
    const bad = { image: 'No', limits: { pids: -1, cpuMillis: 0 }, user: 'a b' }
    await assert.rejects(
      client.submit({ spec: bad, idempotencyKey: '!' }),
      invalid('spec.image', 'spec.user', 'spec.limits.cpu_millis', 'spec.limits.pids', 'idempotency_key'),
    )
    await assert.rejects(
      collect(client.run({ spec: { ...spec('x'), env: { A: 'x'.repeat(2 << 20) } } })),
      invalid('spec.env', 'spec.env["A"]'),
    )
    await assert.rejects(client.submit({}), invalid('spec'))
    assert.equal((await client.list({ pageSize: 1 })).runs[0]?.runId, before)
  })

  test('what no worker gives', async () => {
    await assert.rejects(
      client.submit({ spec: { ...spec('x'), limits: { openFiles: 20_001, cpuMillis: 2_001 } } }),
      invalid('spec.limits.cpu_millis', 'spec.limits.open_files'),
    )
    await assert.rejects(
      client.submit({ spec: { ...spec('x'), isolation: caisson.v1.Isolation.MICROVM_REQUIRED } }),
      failsWith(status.FAILED_PRECONDITION, 'NO_WORKER'),
    )
  })

  test('a capability that nobody granted', async () => {
    await assert.rejects(
      client.submit({ spec: { ...spec('x'), capabilities: ['CAP_KILL', 'CAP_CHOWN'] } }),
      failsWith(status.PERMISSION_DENIED, 'CAPABILITY_NOT_GRANTED', 'spec.capabilities[0]', 'spec.capabilities[1]'),
    )
    await assert.rejects(
      client.submit({ spec: { ...spec('x'), capabilities: ['CAP_SYS_ADMIN'], seccomp: '{}' } }),
      invalid('spec.seccomp.defaultAction', 'spec.capabilities[0]'),
    )
  })

  // Compared each with each, so many would keep control from everybody else for minutes.
  test('more capabilities than there are', async () => {
    const capabilities = Array.from({ length: 9 }, (_, i) => `CAP_${i}`)
    await assert.rejects(client.submit({ spec: { ...spec('x'), capabilities } }), invalid('spec.capabilities'))
  })

  test('a cursor of another run, or none at all', async () => {
    const [a] = await collect(client.run({ spec: spec('echo', 'a') }))
    const [b] = await collect(client.run({ spec: spec('echo', 'b') }))
    const bad = failsWith(status.INVALID_ARGUMENT, 'INVALID_CURSOR', 'after_cursor')
    await assert.rejects(collect(client.watch({ runId: a?.runId ?? '', afterCursor: b?.cursor ?? '' })), bad)
    await assert.rejects(collect(client.watch({ runId: a?.runId ?? '', afterCursor: 'x' })), bad)
  })

  test('no run ids', async () => {
    for (const runId of ['', 'x', '../..', `r${'0'.repeat(25)}\n`]) {
      await assert.rejects(client.get({ runId }), invalid('run_id'))
      await assert.rejects(collect(client.watch({ runId })), invalid('run_id'))
    }
  })
})

describe('List', () => {
  test('newest first, page by page, by state and label', async () => {
    const labels = { list: 'test' }
    const ids: string[] = []
    for (let i = 0; i < 25; i++) ids.push((await client.submit({ spec: { ...spec('echo'), labels } })).runId)
    for (const runId of ids) await untilState(client, runId, State.ENDED)
    const busy = (await client.submit({ spec: { ...spec('sleep'), labels } })).runId
    await untilState(client, busy, State.RUNNING)

    const found: string[] = []
    let pageToken = ''
    do {
      const page = await client.list({ labels, pageSize: 10, pageToken })
      assert.ok(page.runs.length <= 10)
      found.push(...page.runs.map(({ runId }) => runId ?? ''))
      pageToken = page.nextPageToken
    } while (pageToken !== '')
    assert.deepEqual(found, [busy, ...ids.toReversed()].sort().reverse())

    const list = async (request: caisson.v1.IListRequest) => (await client.list(request)).runs.map(({ runId }) => runId)
    assert.deepEqual(await list({ labels, states: [State.RUNNING] }), [busy])
    assert.equal((await list({ labels, states: [State.RUNNING, State.ENDED], pageSize: 1000 })).length, 26)
    assert.deepEqual(await list({ labels: { list: 'other' } }), [])
    const invalid = (field: string) => failsWith(status.INVALID_ARGUMENT, 'INVALID_FIELD', field)
    await assert.rejects(client.list({ pageSize: 1001 }), invalid('page_size'))
    await assert.rejects(client.list({ pageToken: 'x' }), invalid('page_token'))
    await client.cancel({ runId: busy })
  })

  test('a state that is named a thousand times is asked for once', async () => {
    const redis = system.redis.connect()
    const asked = async () => Number(/^cmdstat_zrange:calls=(\d+)/m.exec(await redis.info('commandstats'))?.[1] ?? 0)
    const before = await asked()
    await client.list({ labels: { list: 'none' }, states: new Array(1_000).fill(State.STARTING) })
    // The sweeper asks too, a few times a second.
    assert.ok((await asked()) - before < 500)
  })

  test('large records do not make a page that no client takes', async () => {
    const labels = { list: 'large' }
    for (let i = 0; i < 6; i++) await client.submit({ spec: { ...spec('echo'), labels, stdinInline: Buffer.alloc(1 << 20) } })
    const sizes: number[] = []
    let pageToken = ''
    do {
      const page = await client.list({ labels, pageToken })
      sizes.push(page.runs.length)
      pageToken = page.nextPageToken
    } while (pageToken !== '')
    assert.equal(
      sizes.reduce((a, b) => a + b),
      6,
    )
    assert.ok(sizes.every((size) => size <= 2))
  })
})

describe('hosts', () => {
  test('workers', async () => {
    const { workers } = await client.listWorkers({})
    assert.deepEqual(
      workers.map(({ workerId }) => workerId),
      ['w1'],
    )
    assert.equal(workers[0]?.offers?.[1]?.unavailable, 'no /dev/kvm')
  })
})
