// The SDK against a service that breaks off: a small real gRPC server with the real contract, whose connections are cut.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, connect as dial, type Socket, type Server as TcpServer } from 'node:net'
import { after, before, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import type { caisson } from '../../proto/messages.js'
import { Caisson } from './caisson.js'

const proto = loadSync('caisson/v1/run.proto', {
  includeDirs: ['proto'],
  longs: Number,
  enums: Number,
  defaults: true,
  oneofs: true,
})
const chunks = Array.from({ length: 200 }, (_, i) => Buffer.from(`line ${i}\n`.repeat(50)))
const expected = Buffer.concat(chunks).toString()

const recorded: Buffer[] = []
let recordedBytes = 0
let inputEnded = false

/** Every event of the run "r1"; the cursor is the index. */
function events(after: number): caisson.v1.IRunEvent[] {
  let offset = 0
  const all = chunks.map((data, i) => {
    const output = { stream: 1, offset, data, attempt: 1 }
    offset += data.length
    return { runId: 'r1', cursor: String(i), output }
  })
  return [...all, { runId: 'r1', cursor: 'end', verdict: { outcome: 1, exitCode: 3, effect: 3 } }].slice(after)
}

async function stream(call: grpc.ServerWritableStream<caisson.v1.WatchRequest, caisson.v1.IRunEvent>): Promise<void> {
  const { afterCursor } = call.request
  for (const event of events(afterCursor === 'end' ? chunks.length + 1 : afterCursor ? Number(afterCursor) + 1 : 0)) {
    if (call.cancelled || call.destroyed) return
    if (!call.write(event)) await Promise.race([once(call, 'drain'), once(call, 'close')])
    await new Promise(setImmediate)
  }
  call.end()
}

function attach(
  call: grpc.ServerReadableStream<caisson.v1.AttachRequest, caisson.v1.IAttachResponse>,
  done: grpc.sendUnaryData<caisson.v1.IAttachResponse>,
): void {
  call.on('data', (message: caisson.v1.AttachRequest) => {
    if (message.data) {
      const known = recordedBytes - (message.offset ?? recordedBytes)
      assert.ok(known >= 0, 'a gap in the input')
      const fresh = Buffer.from(message.data).subarray(known)
      recorded.push(fresh)
      recordedBytes += fresh.length
    }
    if (message.end) inputEnded = true
  })
  call.on('end', () => done(null, { acceptedBytes: recordedBytes }))
  call.on('error', () => {})
}

let server: grpc.Server
let proxy: TcpServer
let caissonClient: Caisson
const sockets = new Set<Socket>()
const cut = () => {
  for (const socket of sockets) socket.destroy()
}

before(async () => {
  server = new grpc.Server()
  const get: grpc.handleUnaryCall<caisson.v1.GetRequest, caisson.v1.IRun> = ({ request }, done) =>
    request.runId === 'r1'
      ? done(null, { runId: 'r1', state: 5, verdict: { outcome: 2, signal: 9 } })
      : done({ code: grpc.status.NOT_FOUND, details: `no such run ${request.runId}` })
  server.addService(proto['caisson.v1.RunService'] as grpc.ServiceDefinition, {
    Run: stream,
    Watch: stream,
    Attach: attach,
    Get: get,
  })
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  )
  proxy = createServer((socket) => {
    const upstream = dial(port, '127.0.0.1')
    for (const end of [socket, upstream]) {
      sockets.add(end)
      end.on('error', () => {}).on('close', () => sockets.delete(end))
    }
    socket.pipe(upstream).pipe(socket)
    socket.on('close', () => upstream.destroy())
    upstream.on('close', () => socket.destroy())
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const address = proxy.address()
  assert.ok(address && typeof address === 'object')
  caissonClient = Caisson.connect({ address: `127.0.0.1:${address.port}` })
})

after(() => {
  caissonClient.close()
  proxy.close()
  cut()
  server.forceShutdown()
})

test('a watch that is cut again and again gives the same bytes as one that never was', async () => {
  let text = ''
  let seen = 0
  const followed = caissonClient.run({ image: 'oci:/x' })
  for await (const event of followed) {
    if (event.type === 'output') text += event.data.toString()
    if (++seen % 20 === 0) cut()
  }
  assert.equal(text, expected)
  assert.equal((await followed.verdict()).exitCode, 3)
})

test('the verdict alone can be awaited', async () => {
  assert.equal((await caissonClient.watch('r1').verdict()).outcome, 'EXITED')
})

test('a watch of what follows the verdict has no events, but the verdict', async () => {
  const followed = caissonClient.watch('r1', { afterCursor: 'end' })
  for await (const _ of followed) assert.fail('an event after the last one')
  assert.equal((await followed.verdict()).outcome, 'SIGNALED')
})

test('leaving the iteration ends the watch', async () => {
  const followed = caissonClient.watch('r1')
  for await (const event of followed) if (event.cursor === '5') break
  await assert.rejects(followed.verdict(), { code: 'CANCELLED' })
})

test('input sent over connections that are cut is recorded once', async () => {
  const input = caissonClient.attach('r1')
  const parts = Array.from({ length: 300 }, (_, i) => Buffer.alloc(50_000, i))
  for (const [i, part] of parts.entries()) {
    await input.write(part)
    if (i % 40 === 39) cut()
  }
  await input.end()
  assert.ok(Buffer.concat(recorded).equals(Buffer.concat(parts)))
  assert.ok(inputEnded)
})

test('an abort gives its reason', async () => {
  const controller = new AbortController()
  const followed = caissonClient.watch('r1', { signal: controller.signal })
  setTimeout(() => controller.abort(new Error('enough')), 5)
  await assert.rejects(async () => {
    for await (const _ of followed) await new Promise((resolve) => setTimeout(resolve, 1))
  }, /enough/)
})

test('a refusal is told at once, with its code', async () => {
  await assert.rejects(caissonClient.get('r9'), { name: 'CaissonError', code: 'NOT_FOUND', message: 'no such run r9' })
})

test('an address where nothing serves is told at once', async () => {
  using nowhere = Caisson.connect({ address: '127.0.0.1:1' })
  const start = performance.now()
  await assert.rejects(nowhere.get('r'), { code: 'UNAVAILABLE' })
  assert.ok(performance.now() - start < 5000)
})
