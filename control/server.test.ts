import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, credentials, type GrpcObject, loadPackageDefinition, Metadata, status } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { protoPath as healthProto } from 'grpc-health-check'
import { caisson } from '../proto/messages.js'
import { Images } from '../redis/images.js'
import { type ScratchRedis, scratchRedis } from '../redis/scratch.js'
import { CallFailed, ScratchClient, type ScratchControl, ScratchWorker, scratchControl } from './scratch.js'

const { State, Outcome, Effect } = caisson.v1

let scratch: ScratchRedis
let control: ScratchControl
let client: ScratchClient
let worker: ScratchWorker

before(async () => {
  scratch = await scratchRedis('--maxmemory', '512mb')
  worker = await ScratchWorker.start('w1', scratch)
  control = await scratchControl(scratch.address)
  client = new ScratchClient(control.port)
})
after(async () => {
  client.close()
  await control[Symbol.asyncDispose]()
  await worker[Symbol.asyncDispose]()
  await scratch[Symbol.asyncDispose]()
})

const spec = (...args: string[]): caisson.v1.IRunSpec => ({ image: 'oci:/images/a', args })
const failsWith =
  (code: number, reason: string, ...fields: string[]) =>
  (error: unknown) => {
    assert.ok(error instanceof CallFailed, String(error))
    assert.deepEqual({ code: error.code, reason: error.reason, fields: error.fields }, { code, reason, fields })
    return true
  }

async function collect(events: AsyncIterable<caisson.v1.RunEvent>): Promise<caisson.v1.RunEvent[]> {
  const all: caisson.v1.RunEvent[] = []
  for await (const event of events) all.push(event)
  return all
}
const outputOf = (events: caisson.v1.RunEvent[]) =>
  Buffer.concat(events.flatMap(({ output }) => (output?.data ? [output.data] : [])))
const statesOf = (events: caisson.v1.RunEvent[]) => events.flatMap(({ state }) => (state?.state ? [State[state.state]] : []))

async function untilState(runId: string, state: caisson.v1.State): Promise<void> {
  while ((await client.get({ runId })).state !== state) await sleep(5)
}

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
    await untilState(runId, State.RUNNING)
    await assert.rejects(client.delete({ runId }), failsWith(status.FAILED_PRECONDITION, 'RUN_NOT_ENDED'))
    assert.equal((await client.cancel({ runId })).cancelled, true)
    assert.equal((await collect(client.watch({ runId }))).at(-1)?.verdict?.outcome, Outcome.CANCELLED)
    assert.equal((await client.cancel({ runId })).cancelled, false)
    await client.delete({ runId })
    await assert.rejects(client.get({ runId }), failsWith(status.NOT_FOUND, 'RUN_NOT_FOUND'))
    await assert.rejects(collect(client.watch({ runId })), failsWith(status.NOT_FOUND, 'RUN_NOT_FOUND'))
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

describe('what is refused', () => {
  const invalid = (...fields: string[]) => failsWith(status.INVALID_ARGUMENT, 'INVALID_FIELD', ...fields)

  test('fields, all of them at once, and nothing is recorded', async () => {
    const before = (await client.list({ pageSize: 1 })).runs[0]?.runId
    const bad = { image: 'nope', limits: { pids: -1, cpuMillis: 0 }, user: 'a b' }
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
    for (const runId of ids) await untilState(runId, State.ENDED)
    const busy = (await client.submit({ spec: { ...spec('sleep'), labels } })).runId
    await untilState(busy, State.RUNNING)

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
  test('workers and images', async () => {
    await new Images(scratch.connect()).publish('w1', {
      reference: 'oci:/images/a',
      manifestDigest: 'sha256:1',
      usedAt: { seconds: 5 },
    })
    await new Images(scratch.connect()).publish('w1', { reference: 'oci:/images/b', usedAt: { seconds: 6 } })
    const { workers } = await client.listWorkers({})
    assert.deepEqual(
      workers.map(({ workerId }) => workerId),
      ['w1'],
    )
    assert.equal(workers[0]?.offers?.[1]?.unavailable, 'no /dev/kvm')
    const { images } = await client.listImages({})
    assert.deepEqual(
      images.map(({ reference, workerId }) => [reference, workerId]),
      [
        ['oci:/images/b', 'w1'],
        ['oci:/images/a', 'w1'],
      ],
    )
  })
})

describe('as a stranger sees it', () => {
  const address = () => `127.0.0.1:${control.port}`

  test('health', async () => {
    for (const service of ['', 'caisson.v1.RunService']) {
      assert.deepEqual(await unaryOf(healthProto, ['grpc', 'health', 'v1', 'Health'], 'Check', { service }, address()), {
        status: 'SERVING',
      })
    }
  })

  test('reflection names the services and gives their files', async () => {
    const proto = 'node_modules/@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto'
    const path = ['grpc', 'reflection', 'v1', 'ServerReflection']
    const [list, file] = await exchange(proto, path, 'ServerReflectionInfo', address(), [
      { listServices: '' },
      { fileContainingSymbol: 'caisson.v1.RunService' },
    ])
    const names = (list as { listServicesResponse: { service: { name: string }[] } }).listServicesResponse.service.map(
      ({ name }) => name,
    )
    for (const name of ['caisson.v1.RunService', 'caisson.v1.HostService', 'grpc.health.v1.Health'])
      assert.ok(names.includes(name), name)
    const files = (file as { fileDescriptorResponse: { fileDescriptorProto: Buffer[] } }).fileDescriptorResponse
      .fileDescriptorProto
    assert.ok(files.some((bytes) => bytes.includes('SubmitRequest')))
  })
})

describe('pace', () => {
  test('a watcher that does not read costs control nothing, and then gets all of it', async () => {
    const megabytes = 96
    const { runId } = await client.submit({ spec: spec('flood', `${megabytes * 16}`) })
    const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${control.process.pid}/status`, 'utf8'))?.[1]) << 10
    const before = memory()
    const slow = Array.from({ length: 4 }, () => client.watchStream({ runId }))
    for (const stream of slow) stream.once('readable', () => {})
    await untilState(runId, State.ENDED)
    await sleep(300)
    const grown = memory() - before
    assert.ok(grown < 64 << 20, `control grew by ${grown >> 20} MiB`)
    for (const stream of slow) {
      let bytes = 0
      for await (const event of stream) bytes += (event as caisson.v1.RunEvent).output?.data?.length ?? 0
      assert.equal(bytes, megabytes << 20)
    }
  })
})

describe('token and TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'caisson-tls-'))
  after(() => rmSync(folder, { recursive: true }))
  const [key, cert, token] = ['key.pem', 'cert.pem', 'token'].map((name) => join(folder, name)) as [string, string, string]

  test('every call needs the token, but for health', async () => {
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '2']
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' })
    writeFileSync(token, 'the-token-of-this-test\n')
    await using guarded = await scratchControl(scratch.address, '--tls-cert', cert, '--tls-key', key, '--token-file', token)
    const tls = credentials.createSsl(readFileSync(cert))
    const as = (authorization?: string) => {
      const metadata = new Metadata()
      if (authorization) metadata.set('authorization', authorization)
      return new ScratchClient(guarded.port, metadata, tls)
    }
    const refused = failsWith(status.UNAUTHENTICATED, 'TOKEN_REFUSED')
    for (const wrong of [undefined, 'Bearer the-token-of-this-tes', 'the-token-of-this-test', 'Bearer ']) {
      const stranger = as(wrong)
      await assert.rejects(stranger.list({}), refused)
      await assert.rejects(stranger.submit({ spec: spec('echo') }), refused)
      await assert.rejects(collect(stranger.run({ spec: spec('echo') })), refused)
      await assert.rejects(stranger.attach([{ runId: 'x' }]), refused)
      stranger.close()
    }
    const friend = as('Bearer the-token-of-this-test')
    assert.equal((await collect(friend.run({ spec: spec('echo', 'hi') }))).at(-1)?.verdict?.outcome, Outcome.EXITED)
    friend.close()
    const health = await unaryOf(healthProto, ['grpc', 'health', 'v1', 'Health'], 'Check', {}, `127.0.0.1:${guarded.port}`, tls)
    assert.deepEqual(health, { status: 'SERVING' })
  })

  test('not beyond loopback without both', async () => {
    await assert.rejects(scratchControl(scratch.address, '--listen', '0.0.0.0:0'), /control ended with 2/)
  })
})

describe('Redis', () => {
  test('near its memory limit new runs are refused, and running ones go on', async () => {
    const redis = scratch.connect()
    const { runId } = await client.submit({ spec: spec('sleep') })
    const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
    await redis.config('SET', 'maxmemory', Math.floor(used * 1.2))
    await sleep(1_100)
    await assert.rejects(client.submit({ spec: spec('echo') }), failsWith(status.RESOURCE_EXHAUSTED, 'REDIS_MEMORY'))
    await client.cancel({ runId })
    assert.equal((await collect(client.watch({ runId }))).at(-1)?.verdict?.outcome, Outcome.CANCELLED)
    await redis.config('SET', 'maxmemory', 512 << 20)
    await sleep(1_100)
    await client.submit({ spec: spec('echo') })
  })

  test('away: calls fail at once, watches wait, nothing is lost', async () => {
    const { runId } = await client.submit({ spec: spec('sleep') })
    const watching = collect(client.watch({ runId }))
    await untilState(runId, State.RUNNING)
    const restarting = scratch.restart(1_500)
    await sleep(200)
    const started = performance.now()
    await assert.rejects(client.submit({ spec: spec('echo') }), failsWith(status.UNAVAILABLE, 'REDIS_UNREACHABLE'))
    await assert.rejects(client.get({ runId }), failsWith(status.UNAVAILABLE, 'REDIS_UNREACHABLE'))
    assert.ok(performance.now() - started < 1_000)
    assert.deepEqual(await unaryOf(healthProto, ['grpc', 'health', 'v1', 'Health'], 'Check', {}, `127.0.0.1:${control.port}`), {
      status: 'NOT_SERVING',
    })
    await restarting
    while (true) {
      const cancelled = await client.cancel({ runId }).catch(() => undefined)
      if (cancelled) break
      await sleep(100)
    }
    assert.equal((await watching).at(-1)?.verdict?.outcome, Outcome.CANCELLED)
  })
})

describe('the end', () => {
  test('SIGTERM: calls end, watches are told, the process exits 0', async () => {
    await using other = await scratchControl(scratch.address, '--grace-ms', '200')
    const leaving = new ScratchClient(other.port)
    const { runId } = await leaving.submit({ spec: spec('sleep') })
    const watching = collect(leaving.watch({ runId }))
    await sleep(100)
    const exit = once(other.process, 'exit')
    other.process.kill('SIGTERM')
    await assert.rejects(watching, failsWith(status.UNAVAILABLE, 'SHUTTING_DOWN'))
    assert.deepEqual(await exit, [0, null])
    leaving.close()
    await client.cancel({ runId })
    assert.equal((await collect(client.watch({ runId }))).at(-1)?.verdict?.outcome, Outcome.CANCELLED)
  })

  test('a run goes on when the stream of Run breaks', async () => {
    const stream = client.run({ spec: spec('sleep') })
    const first = await stream.next()
    const runId = first.done ? '' : (first.value.runId ?? '')
    await stream.return(undefined)
    await untilState(runId, State.RUNNING)
    await client.cancel({ runId })
  })
})

/** Calls by the .proto file alone, as other languages do. */
function clientOf(proto: string, path: string[], address: string, channel = credentials.createInsecure()) {
  let found: GrpcObject | unknown = loadPackageDefinition(loadSync(proto, { enums: String, bytes: Buffer }))
  for (const name of path) found = (found as GrpcObject)[name]
  const Service = found as typeof Client & { service: Record<string, Parameters<Client['makeUnaryRequest']>> }
  return { client: new Service(address, channel, { 'grpc.ssl_target_name_override': 'localhost' }), methods: Service.service }
}

interface Method {
  path: string
  requestSerialize(message: unknown): Buffer
  responseDeserialize(bytes: Buffer): unknown
}

function unaryOf(
  proto: string,
  path: string[],
  name: string,
  message: unknown,
  address: string,
  channel?: ReturnType<typeof credentials.createInsecure>,
) {
  const { client, methods } = clientOf(proto, path, address, channel)
  const method = methods[name] as unknown as Method
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(method.path, method.requestSerialize, method.responseDeserialize, message, (error, answer) => {
      client.close()
      if (error) reject(error)
      else resolve({ ...(answer as object) })
    })
  })
}

async function exchange(proto: string, path: string[], name: string, address: string, messages: unknown[]): Promise<unknown[]> {
  const { client, methods } = clientOf(proto, path, address)
  const method = methods[name] as unknown as Method
  const call = client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize)
  for (const message of messages) call.write(message)
  call.end()
  const answers: unknown[] = []
  for await (const answer of call) answers.push(answer)
  client.close()
  return answers
}
