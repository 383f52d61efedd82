import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metadata, status } from '@grpc/grpc-js'
import { google } from '../../proto/messages.js'
import { isLocal } from './address.js'
import { Caisson } from './caisson.js'
import { fromServiceError, isTransportFailure } from './error.js'

const { BadRequest, ErrorInfo, Status } = google.rpc

function serviceError(code: number, details?: Uint8Array): Error {
  const metadata = new Metadata()
  if (details) metadata.set('grpc-status-details-bin', Buffer.from(details))
  return Object.assign(new Error(`${code} text`), { code, details: 'text', metadata })
}

const any = (name: string, value: Uint8Array) => ({ type_url: `type.googleapis.com/google.rpc.${name}`, value })

test('reason and violations come out of the details', () => {
  const info = ErrorInfo.encode({ reason: 'INVALID_FIELD', domain: 'caisson', metadata: { a: 'b' } }).finish()
  const bad = BadRequest.encode({ fieldViolations: [{ field: 'spec.limits.pids', description: 'at most 5' }] }).finish()
  const details = Status.encode({ code: 3, message: 'x', details: [any('ErrorInfo', info), any('BadRequest', bad)] }).finish()
  const error = fromServiceError(serviceError(status.INVALID_ARGUMENT, details))
  assert.equal(error.code, 'INVALID_ARGUMENT')
  assert.equal(error.reason, 'INVALID_FIELD')
  assert.deepEqual(error.metadata, { a: 'b' })
  assert.deepEqual(error.violations, [{ field: 'spec.limits.pids', description: 'at most 5' }])
})

test('details that do not parse take nothing away', () => {
  const error = fromServiceError(serviceError(status.NOT_FOUND, Buffer.from([0xff, 0xff])))
  assert.deepEqual([error.code, error.reason, error.message], ['NOT_FOUND', '', 'text'])
})

test('only what a new connection may cure is tried again', () => {
  assert.ok(isTransportFailure(fromServiceError(serviceError(status.UNAVAILABLE))))
  assert.ok(!isTransportFailure(fromServiceError(serviceError(status.INTERNAL))))
  assert.ok(!isTransportFailure(fromServiceError(serviceError(status.NOT_FOUND))))
})

test('a token stays on this machine, or in TLS', () => {
  assert.ok(['localhost:1', '127.0.0.1:1', '[::1]:1', 'unix:/x'].every(isLocal))
  assert.ok(!['example.org:1', '128.0.0.1:1', '127.evil.example:1'].some(isLocal))
  assert.throws(() => Caisson.connect({ address: 'example.org:1', token: 't', tls: false }), { reason: 'TLS_REQUIRED' })
})

test('what the wire cannot carry is refused with its field', async () => {
  using caisson = Caisson.connect({ address: '127.0.0.1:1' })
  const spec = { image: 'oci:/x', limits: { memoryBytes: 1.5 }, priority: Number.NaN }
  await assert.rejects(caisson.submit(spec), (error: { violations: { field: string }[] }) => {
    assert.deepEqual(
      error.violations.map(({ field }) => field),
      ['spec.priority', 'spec.limits.memory_bytes'],
    )
    return true
  })
})
