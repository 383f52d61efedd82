import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { credentials, Metadata, status } from '@grpc/grpc-js'
import { caisson } from '../proto/messages.js'
import { type ScratchSystem, scratchControl, scratchSystem } from './scratch.js'
import { collect, failsWith, ScratchClient, spec, untilState } from './scratchClient.js'
import { checkHealth, exchange } from './scratchStranger.js'

const { State, Outcome } = caisson.v1

let system: ScratchSystem
let client: ScratchClient

before(async () => {
  system = await scratchSystem()
  client = system.client
})
after(() => system[Symbol.asyncDispose]())

describe('as a stranger sees it', () => {
  const address = () => `127.0.0.1:${system.control.port}`

  test('health', async () => {
    for (const service of ['', 'caisson.v1.RunService']) {
      assert.deepEqual(await checkHealth(system.control.port, service), {
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

describe('token and TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'caisson-tls-'))
  after(() => rmSync(folder, { recursive: true }))
  const [key, cert, token] = ['key.pem', 'cert.pem', 'token'].map((name) => join(folder, name)) as [string, string, string]

  test('every call needs the token, but for health', async () => {
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '2']
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' })
    writeFileSync(token, 'the-token-of-this-test\n')
    await using guarded = await scratchControl(system.redis.address, '--tls-cert', cert, '--tls-key', key, '--token-file', token)
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
    const health = await checkHealth(guarded.port, '', tls)
    assert.deepEqual(health, { status: 'SERVING' })
  })

  test('not beyond loopback without both', async () => {
    await assert.rejects(scratchControl(system.redis.address, '--listen', '0.0.0.0:0'), /control ended with 2/)
  })
})

describe('the end', () => {
  test('SIGTERM: calls end, watches are told, the process exits 0', async () => {
    await using other = await scratchControl(system.redis.address, '--grace-ms', '200')
    const leaving = new ScratchClient(other.port)
    const { runId } = await leaving.submit({ spec: spec('sleep') })
    const events = leaving.watch({ runId })
    await events.next()
    const watching = collect(events)
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
    await untilState(client, runId, State.RUNNING)
    await client.cancel({ runId })
  })
})
