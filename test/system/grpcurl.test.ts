// A client that is not ours, by reflection alone.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { Fixture } from '../harness/fixture.js'
import { busybox } from '../harness/images.js'
import { grpcurl } from '../harness/tools.js'

const fixture = await Fixture.start()

const call = (...args: string[]): string =>
  execFileSync(grpcurl, ['-plaintext', ...args], { encoding: 'utf8', timeout: 30_000, stdio: ['ignore', 'pipe', 'pipe'] })

/** grpcurl prints one object after another. */
const objects = (text: string) => JSON.parse(`[${text.trim().replaceAll(/\n\}\n\{/g, '\n},\n{')}]`)

const spec = { image: busybox, args: ['sh', '-c', 'echo hello; echo oops >&2; exit 3'], isolation: 'CONTAINER' }

test('reflection lists and describes the services', () => {
  const { address } = fixture.instance
  const services = call(address, 'list').split('\n')
  for (const service of ['caisson.v1.RunService', 'caisson.v1.HostService', 'caisson.v1.ImageService', 'grpc.health.v1.Health'])
    assert.ok(services.includes(service), service)
  assert.match(call(address, 'describe', 'caisson.v1.RunSpec'), /retry_after_start/)
})

test('health is served', () => {
  const { address } = fixture.instance
  assert.equal(objects(call(address, 'grpc.health.v1.Health/Check'))[0].status, 'SERVING')
  assert.equal(
    objects(call('-d', '{"service":"caisson.v1.RunService"}', address, 'grpc.health.v1.Health/Check'))[0].status,
    'SERVING',
  )
})

test('Run streams events to the verdict', () => {
  const events = objects(call('-d', JSON.stringify({ spec }), fixture.instance.address, 'caisson.v1.RunService/Run'))
  const said = events.flatMap((event: { output?: { stream: string; data: string } }) =>
    event.output ? [`${event.output.stream}:${Buffer.from(event.output.data, 'base64')}`] : [],
  )
  assert.deepEqual(said.sort(), ['STDERR:oops\n', 'STDOUT:hello\n'])
  const { verdict } = events.at(-1)
  assert.deepEqual([verdict.outcome, verdict.exitCode, verdict.effect], ['EXITED', 3, 'COMPLETED'])
})

test('Submit, then Watch', () => {
  const { address } = fixture.instance
  const [{ runId, created }] = objects(
    call('-d', JSON.stringify({ spec, idempotency_key: 'g' }), address, 'caisson.v1.RunService/Submit'),
  )
  assert.equal(created, true)
  const events = objects(call('-d', JSON.stringify({ run_id: runId }), address, 'caisson.v1.RunService/Watch'))
  assert.equal(events.at(-1).verdict.outcome, 'EXITED')
  assert.equal(objects(call('-d', JSON.stringify({ run_id: runId }), address, 'caisson.v1.RunService/Get'))[0].state, 'ENDED')
})

test('a refusal names the field', () => {
  const bad = { spec: { ...spec, limits: { pids: -1 } } }
  assert.throws(
    () => call('-d', JSON.stringify(bad), fixture.instance.address, 'caisson.v1.RunService/Submit'),
    (error: { stderr: string }) =>
      /InvalidArgument/.test(error.stderr) && /spec\.limits\.pids/.test(error.stderr) && /INVALID_FIELD/.test(error.stderr),
  )
})

test('ImageService: a pull, the list, and a refusal that names the field', () => {
  const { address } = fixture.instance
  const ask = (method: string, request: object) =>
    objects(call('-d', JSON.stringify(request), address, `caisson.v1.ImageService/${method}`))
  assert.equal(ask('Pull', { image: busybox }).at(-1).pulled.layers, 1)
  const [{ images }] = ask('List', {})
  assert.deepEqual(images[0].references, [busybox])
  const [{ layers, process }] = ask('Get', { image: busybox })
  assert.deepEqual([layers.length, process.cmd.length > 0], [1, true])
  assert.throws(
    () => ask('Files', { image: busybox, most: 1000 }),
    (error: { stderr: string }) =>
      /InvalidArgument/.test(error.stderr) && /most/.test(error.stderr) && /0 to 100/.test(error.stderr),
  )
})
