// Images through the API, fetched ahead from a registry that counts what it is asked.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { container, describeVerdict, finish } from '../harness/finish.js'
import { events, failsWith, startImageService, tenant } from '../harness/imageService.js'
import { busybox, python } from '../harness/images.js'
import { until } from '../harness/until.js'

const { fixture, open, guarded, counted, watched } = await startImageService()
const { images } = fixture.caisson

test('fifty first runs of one image at once, and a pull: one download of each blob, one conversion of each layer', async () => {
  const image = `${counted}/library/three:1`
  const spec = container({ image, entrypoint: [], args: ['true'], limits: { cpuMillis: 50, memoryBytes: 16 << 20 } })
  const runs = Array.from({ length: 50 }, () => finish(fixture.caisson.run(spec)))
  const pulled = events(images.pull(image))
  for (const finished of await Promise.all(runs)) assert.equal(finished.verdict.outcome, 'EXITED', describeVerdict(finished))
  assert.equal((await pulled).at(-1)?.type, 'pulled')
  const blobs = watched.asked.filter((line) => line.includes('/blobs/'))
  assert.equal(watched.asked.filter((line) => line.includes('/manifests/')).length, 1, watched.asked.join('\n'))
  assert.equal(blobs.length, 4, blobs.join('\n'))
  assert.equal(new Set(blobs).size, 4)
  const { layers } = await images.get(image)
  assert.equal(layers.length, 3)
})

test('a pull tells its progress, and leaves nothing to fetch for the first run', async () => {
  const image = `${counted}/a/busybox:1`
  const told = await events(images.pull(image, { pull: 'ALWAYS' }))
  const end = told.at(-1)
  assert.equal(end?.type, 'pulled', JSON.stringify(told))
  assert.ok(told.length > 1 && told.slice(0, -1).every((event) => event.type === 'progress' && event.totalBytes > 0))
  const from = watched.asked.length
  const finished = await finish(fixture.caisson.run(container({ image, args: ['true'], pull: 'NEVER' })))
  assert.equal(finished.verdict.outcome, 'EXITED', describeVerdict(finished))
  assert.equal(watched.asked.length, from)
  const { images: listed, failures } = await images.list()
  assert.deepEqual(failures, [])
  assert.deepEqual(listed[0]?.references, [image])
  assert.ok(
    listed.every(({ usedAt, storedBytes, manifestDigest }) => usedAt && storedBytes > 0 && /^sha256:/.test(manifestDigest)),
  )
})

test('the credential of a pull, as that of a run', async () => {
  const image = `${guarded.host}/private/busybox:1`
  const [refused] = await events(images.pull(image))
  assert.equal(refused?.type === 'failed' && refused.reason, 'IMAGE_UNAUTHORIZED')
  const registryCredential = { username: tenant.name, password: tenant.password }
  assert.equal((await events(images.pull(image, { registryCredential }))).at(-1)?.type, 'pulled')
  const finished = await finish(fixture.caisson.run(container({ image, args: ['true'], pull: 'NEVER' }), { registryCredential }))
  assert.equal(finished.verdict.outcome, 'EXITED', describeVerdict(finished))
  assert.ok(!fixture.instance.log().includes(tenant.password))
})

test('who leaves a pull ends it, unless another waits for it too', { timeout: 60_000 }, async () => {
  const away = `${counted}/away/python:3`
  const digest = await open.push(python, 'away/python:3')
  watched.stalling = true
  const stops = [new AbortController(), new AbortController()]
  const pulls = stops.map(({ signal }) => events(images.pull(away, { signal })))
  for (const pull of pulls) pull.catch(() => {})
  await until('the download has begun', 20_000, () => watched.asked.some((line) => line.includes('/away/python/blobs/')))
  stops[0]?.abort(new Error('enough'))
  await assert.rejects(pulls[0] ?? assert.fail(), /enough/)
  // Two signs of life later it would be known.
  await new Promise((resolve) => setTimeout(resolve, 2_500))
  assert.equal(watched.left, 0)
  stops[1]?.abort(new Error('enough'))
  await until('the download is given up', 10_000, () => watched.left > 0)
  watched.stalling = false
  const end = (await events(images.pull(away))).at(-1)
  assert.equal(end?.type === 'pulled' && end.image.manifestDigest, digest)
})

test('requests that are wrong name the field; what nobody has is not found', async () => {
  const wrong: [Promise<unknown>, RegExp][] = [
    [events(images.pull('UPPER')), /^image has a bad repository/],
    [events(images.pull(busybox, { pull: 'ALWAYS' })), /^pull is only for an image in a registry/],
    [
      events(images.pull('a', { registryCredential: { username: '', password: 'x' } })),
      /^registry_credential.username is missing/,
    ],
    [images.get('oci:relative'), /^image must name an absolute path/],
    [images.list({ workerId: 'x'.repeat(300) }), /^worker_id is no worker id/],
    [images.files(busybox, { most: 101 }), /^most is 101, must be 0 to 100/],
    [images.files(busybox, { diffId: 'sha256:1' }), /^diff_id must be sha256/],
  ]
  for (const [call, message] of wrong) await assert.rejects(call, failsWith('INVALID_ARGUMENT', 'INVALID_FIELD', message))
  await assert.rejects(images.get('nowhere'), failsWith('NOT_FOUND', 'IMAGE_UNKNOWN', /no worker has nowhere/))
  await assert.rejects(images.get(`sha256:${'0'.repeat(64)}`), failsWith('NOT_FOUND', 'IMAGE_UNKNOWN', /no worker has sha256/))
  await assert.rejects(images.list({ workerId: 'w' }), failsWith('NOT_FOUND', 'WORKER_NOT_FOUND', /no worker w lives/))
  const other = images.files(`${counted}/a/busybox:1`, { diffId: `sha256:${'0'.repeat(64)}` })
  await assert.rejects(other, failsWith('NOT_FOUND', 'LAYER_UNKNOWN', /has no layer sha256:0/))
})

test('a worker that dies in the middle of a pull', { timeout: 60_000 }, async () => {
  watched.stalling = true
  const { asked } = watched
  const from = asked.length
  await open.push(python, 'late/python:3')
  const pulling = events(images.pull(`${counted}/late/python:3`))
  await until('the download has begun', 20_000, () => asked.slice(from).some((line) => line.includes('/late/python/blobs/')))
  await fixture.instance.killAndAwaitRestart('worker')
  const [end, ...others] = await pulling
  assert.deepEqual(others, [])
  assert.equal(end?.type === 'failed' && end.reason, 'WORKER_SILENT', JSON.stringify(end))
  watched.stalling = false
  await fixture.instance.ready()
})
