import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Metadata } from '@grpc/grpc-js'
import { ConfigError, isLoopback, parseConfig, parseListen } from './config.js'

const folder = mkdtempSync(join(tmpdir(), 'caisson-config-'))
after(() => rmSync(folder, { recursive: true }))
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const pem = file('pem', 'x')
const token = file('token', 'a-token-of-some-length\n')

const parse = (...argv: string[]) => parseConfig(['--redis', '/r.sock', ...argv])

test('defaults: loopback, no token', () => {
  const { host, port, tenants, tls, maxima } = parse()
  assert.deepEqual([host, port, tenants, tls, maxima], ['127.0.0.1', 7788, undefined, undefined, {}])
})

test("operator's maxima by the limits' own names", () => {
  assert.deepEqual(parse('--max-memory-bytes', '1073741824', '--max-wall-ms', '5').maxima, { memoryBytes: 2 ** 30, wallMs: 5 })
})

test('beyond loopback only with TLS and token', () => {
  const tls = ['--tls-cert', pem, '--tls-key', pem]
  for (const options of [[], tls, ['--token-file', token]]) {
    assert.throws(() => parse('--listen', '0.0.0.0:1', ...options), ConfigError)
  }
  const config = parse('--listen', '[::]:7788', ...tls, '--token-file', token)
  const metadata = new Metadata()
  metadata.add('authorization', 'Bearer a-token-of-some-length')
  assert.equal(config.tenants?.of(metadata)?.name, 'default')
  assert.equal(config.host, '[::]')
})

test('half a TLS, a missing file, a weak token', () => {
  assert.throws(() => parse('--tls-cert', pem), /go together/)
  assert.throws(() => parse('--token-file', join(folder, 'none')), /cannot be read/)
  assert.throws(() => parse('--token-file', file('short', 'short')), /16 to 4,096/)
  assert.throws(
    () => parse('--token-file', file('odd', 'a-token-of-some-length ci CAP_SYS_ADMIN')),
    /line 1 grants CAP_SYS_ADMIN, which no run can have/,
  )
})

test('addresses', () => {
  assert.deepEqual(parseListen('localhost:0'), { host: 'localhost', port: 0 })
  for (const text of ['', ':1', 'a', 'a:', 'a:b', 'a:70000', '::1:5']) assert.throws(() => parseListen(text), text)
  for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '[::1]']) assert.ok(isLoopback(host), host)
  for (const host of ['0.0.0.0', '[::]', '10.0.0.1', 'localhost.example', '127.0.0.1.example']) assert.ok(!isLoopback(host), host)
})
