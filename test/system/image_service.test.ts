// Images through the API and the command: fetched ahead, listed, looked into, from a registry that counts what it is asked.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { CaissonError } from '../../client/sdk/error.js'
import type { PullEvent } from '../../client/sdk/imageModel.js'
import { makeCertificates } from '../harness/certificates.js'
import { container, describeVerdict, finish } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { busybox, python } from '../harness/images.js'
import { command } from '../harness/instance.js'
import { watchedProxy } from '../harness/interference.js'
import { Layout, layer, shellLayer } from '../harness/layout.js'
import { Registry } from '../harness/registry.js'
import { until } from '../harness/until.js'

const tenant = { name: 'tenant', password: 'tenants-pass-4711' }
const watched = { asked: [] as string[], stalling: false, left: 0 }

let open: Registry
let guarded: Registry
let counted: string

const fixture = await Fixture.start({}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'caisson-image-service-'))
  await chmod(folder, 0o755)
  const tls = await makeCertificates(folder)
  open = await Registry.start(folder)
  guarded = await Registry.start(folder, { tls, user: tenant })
  const proxy = await watchedProxy(open.port, watched)
  counted = proxy.host
  await open.push(await threeLayers(folder), 'library/three:1')
  await open.push(busybox, 'a/busybox:1')
  await guarded.push(busybox, 'private/busybox:1')
  const args = ['--registry-ca', tls.caFile, '--registry-allow', guarded.host, '--registry-plain-http', open.host, counted]
  const undo = async () => {
    for (const each of [proxy, open, guarded]) await each.stop()
    await rm(folder, { recursive: true })
  }
  return { options: { args }, undo }
})
const { images } = fixture.caisson

/** Each of them whole in itself, and large enough to be under way for a while. */
async function threeLayers(folder: string): Promise<string> {
  const layout = await Layout.create(join(folder, 'three'))
  const data = (name: string) =>
    layer([
      { name, type: 'directory' },
      { name: `${name}/file`, content: randomBytes(4 << 20) },
    ])
  const image = await layout.image([await shellLayer(), await data('one'), await data('two')])
  return `${await layout.index({ three: image })}:three`
}

async function events(pulling: AsyncIterable<PullEvent>): Promise<PullEvent[]> {
  const all: PullEvent[] = []
  for await (const event of pulling) all.push(event)
  return all
}

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

function caisson(...args: string[]): Promise<Ended> {
  const env = { ...process.env, CAISSON_ADDRESS: fixture.instance.address }
  const child = spawn(process.execPath, [command, 'images', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env })
  const ended: Ended = { code: null, stdout: '', stderr: '' }
  child.stdout.on('data', (data) => {
    ended.stdout += data
  })
  child.stderr.on('data', (data) => {
    ended.stderr += data
  })
  return new Promise((resolve) => child.on('close', (code) => resolve({ ...ended, code })))
}

const failsWith = (code: string, reason: string, message: RegExp) => (error: CaissonError) => {
  assert.deepEqual([error.code, error.reason], [code, reason], error.message)
  assert.match(error.message, message)
  return true
}

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

test('layers, history and files of an image that means no good', async () => {
  const layout = await Layout.create(join(fixture.instance.folder, 'images', 'unkind'))
  const evil = 'evil\u001b[2J\u0007\n\u202eexe'
  const big = 'x'.repeat(100_000)
  const layers = [
    await layer([
      { name: 'big', content: big },
      { name: 'kept', content: 'kept' },
      { name: evil, content: 'evil' },
    ]),
    await layer([
      { name: '.wh.big', content: '' },
      { name: 'kept', content: 'kept again' },
    ]),
  ]
  const history = [{ created_by: evil }, { created_by: 'RUN rm big' }, { created_by: 'CMD sh', empty_layer: true }]
  const manifest = await layout.image(layers, { Labels: { evil } }, undefined, { history })
  const image = `${await layout.index({ unkind: manifest })}:unkind`
  assert.equal((await events(images.pull(image))).at(-1)?.type, 'pulled')

  const details = await images.get(image)
  assert.deepEqual(
    details.history.map(({ createdBy, layer }) => [createdBy, layer]),
    [
      [evil, 0],
      ['RUN rm big', 1],
      ['CMD sh', undefined],
    ],
  )
  assert.deepEqual(details.labels, { evil })
  const { layers: listed } = await images.files(image)
  const files = listed.map(({ largest, ...rest }) => ({ ...rest, largest: largest.map(({ path }) => path) }))
  const lost = [
    { path: 'big', bytes: 100_000, overwrittenBy: 1 },
    { path: 'kept', bytes: 4, overwrittenBy: 1 },
  ]
  const [lower, upper] = details.layers.map(({ diffId }) => diffId)
  const counts = { files: 3, bytes: 100_008, overwrittenFiles: 2, overwrittenBytes: 100_004, removals: 0, overwritten: lost }
  assert.deepEqual(files[0], { diffId: lower, ...counts, largest: ['big', evil, 'kept'] })
  const above = { files: 1, bytes: 10, overwrittenFiles: 0, overwrittenBytes: 0, removals: 1, overwritten: [] }
  assert.deepEqual(files[1], { diffId: upper, ...above, largest: ['kept'] })

  for (const args of [
    ['show', image],
    ['show', '--files', image],
    ['history', image],
    ['history', '--full', image],
  ]) {
    const { code, stdout, stderr } = await caisson(...args)
    assert.equal(code, 0, stderr)
    assert.match(stdout, /evil/, args.join(' '))
    assert.doesNotMatch(stdout.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u, args.join(' '))
  }
  const { stdout } = await caisson('show', '--files', '--layer', '1', '--most', '1', image)
  assert.match(stdout, /3 files, 98 KiB; 2 of them overwritten above \(98 KiB\); 0 removals below/)
  assert.match(stdout, /overwritten +98 KiB +layer 2 +\/big/)
  assert.doesNotMatch(stdout, /layer 2 sha256/)
})

test('layers that images share', async () => {
  const [one, other] = [`${counted}/a/busybox:1`, busybox]
  await events(images.pull(other))
  const { layers } = await images.get(one)
  // The same image under another name shares nothing: it is the same.
  assert.ok(layers.every(({ sharedCount, storedBytes, blobBytes }) => sharedCount === 0 && storedBytes > 0 && blobBytes > 0))
  const layout = await Layout.create(join(fixture.instance.folder, 'images', 'shared'))
  const common = await layer([{ name: 'common', content: 'common' }])
  const own = await layer([{ name: 'own', content: 'own' }])
  const references = await layout.index({ base: await layout.image([common]), more: await layout.image([common, own]) })
  for (const tag of ['base', 'more']) await events(images.pull(`${references}:${tag}`))
  const more = await images.get(`${references}:more`)
  assert.deepEqual(
    more.layers.map(({ sharedWith, sharedCount }) => [sharedWith, sharedCount]),
    [
      [[`${references}:base`], 1],
      [[], 0],
    ],
  )
})

test('the command: pull, list, show, history; --json; failures by worker', { timeout: 60_000 }, async () => {
  const image = `${counted}/a/busybox:1`
  const [{ workerId = '' } = {}] = await fixture.caisson.workers()
  const pulled = await caisson('pull', image, '--worker', workerId)
  assert.match(pulled.stdout, new RegExp(`^${image} is sha256:\\w{64} on ${workerId}: 1 layer, `))
  assert.equal(pulled.stderr, '')
  const failed = await caisson('pull', `${counted}/a/none:1`)
  assert.deepEqual([failed.code, failed.stdout], [125, ''])
  assert.match(failed.stderr, new RegExp(`^caisson: worker ${workerId}: .*404.*\\(IMAGE_NOT_FOUND\\)`))
  for (const args of [[], ['list'], ['--worker', workerId]]) assert.match((await caisson(...args)).stdout, new RegExp(image))
  const json = async (...args: string[]) =>
    (await caisson(...args, '--json')).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  assert.ok((await json()).some(({ references }) => references.includes(image)))
  const [details] = await json('show', image)
  assert.equal(details.image.workerId, workerId)
  assert.deepEqual((await json('show', details.image.manifestDigest))[0].layers, details.layers)
  assert.equal((await json('history', image)).filter(({ diffId }) => diffId === details.layers[0].diffId).length, 1)
  assert.equal((await json('show', '--files', '--most', '2', image))[0].layers[0].largest.length, 2)
  const events = await json('pull', image)
  assert.equal(events.at(-1).type, 'pulled')
  const unknown = await caisson('show', 'nowhere')
  assert.deepEqual([unknown.code, unknown.stderr], [125, 'caisson: no worker has nowhere (IMAGE_UNKNOWN)\n'])
})

test('removed by reference or digest, but not while a run has it; layers that others have stay', {
  timeout: 60_000,
}, async () => {
  const layout = await Layout.create(join(fixture.instance.folder, 'images', 'removed'))
  const common = await shellLayer()
  const [own, unused] = [await layer([{ name: 'own', content: 'own' }]), await layer([{ name: 'unused', content: 'unused' }])]
  const [base, more] = [await layout.image([common]), await layout.image([common, own])]
  const spare = await layout.image([common, unused])
  const references = await layout.index({ base, more, again: more, spare })
  const named = (tag: string) => `${references}:${tag}`
  for (const tag of ['base', 'more', 'again', 'spare']) await events(images.pull(named(tag)))
  const run = fixture.caisson.run(container({ image: named('more'), args: ['sh', '-c', 'echo up; read x'], stdin: 'attach' }))
  let runId = ''
  for await (const event of run) {
    runId = event.runId
    if (event.type === 'output') break
  }
  await assert.rejects(images.remove(more.digest), failsWith('FAILED_PRECONDITION', 'IMAGE_IN_USE', /in use by a run/))
  const inUse = await caisson('rm', more.digest)
  assert.deepEqual([inUse.code, inUse.stdout], [125, ''])
  assert.match(inUse.stderr, /in use by a run \(IMAGE_IN_USE\)/)
  // Another name of it may go: the image stays.
  const one = await images.remove(named('again'))
  assert.deepEqual([one.removed[0]?.references, one.removed[0]?.layers], [[named('again')], 0])
  await fixture.caisson.cancel(runId)
  await fixture.caisson.watch(runId).verdict()
  await until('nothing uses it', 20_000, async () => (await images.get(named('more'))).image.uses === 0)
  assert.deepEqual((await images.remove(more.digest)).removed[0]?.references, [named('more')])
  const removed = await caisson('rm', spare.digest, '--json')
  const { references: gone, layers, freedBytes } = JSON.parse(removed.stdout)
  assert.deepEqual([gone, layers, freedBytes > 0], [[named('spare')], 1, true])
  await assert.rejects(images.get(named('more')), failsWith('NOT_FOUND', 'IMAGE_UNKNOWN', /no worker has/))
  await assert.rejects(images.remove(named('more')), failsWith('NOT_FOUND', 'IMAGE_UNKNOWN', /no worker has/))
  const finished = await finish(fixture.caisson.run(container({ image: named('base'), args: ['true'] })))
  assert.equal(finished.verdict.outcome, 'EXITED', describeVerdict(finished))
})

test('verify finds what is broken, and the next use makes it anew; prune frees the rest', { timeout: 120_000 }, async () => {
  const image = `${counted}/library/three:1`
  await events(images.pull(image))
  const store = join(fixture.instance.folder, 'state/layers/v1')
  const { layers } = await images.get(image)
  const broken = `sha256-${layers[1]?.diffId.slice(7)}`
  const path = join(store, `${broken}.sqfs`)
  const bytes = await readFile(path)
  bytes[2 << 20] = (bytes[2 << 20] ?? 0) ^ 1
  await chmod(path, 0o640)
  await writeFile(path, bytes)
  const [first, ...others] = (await caisson('verify', '--json')).stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .reverse()
  assert.equal(first.type, 'verified')
  assert.ok(others.every(({ type }) => type === 'progress'))
  assert.deepEqual(
    first.broken.map(({ key }: { key: string }) => key),
    [broken],
  )
  const finished = await finish(fixture.caisson.run(container({ image, args: ['true'] })))
  assert.equal(finished.verdict.outcome, 'EXITED', describeVerdict(finished))
  const again = await caisson('verify')
  assert.deepEqual([again.code, again.stderr], [0, ''])
  assert.match(again.stdout, /^w\w+: \d+ layers, .* 0 broken\n$/)

  const pruned = await caisson('prune')
  assert.match(pruned.stdout, /\d+ layers, .* freed\n$/)
  // The sandbox of the last run may take a moment to go.
  await until('nothing is left', 20_000, async () => {
    await images.prune()
    return !(await readdir(store)).some((name) => name.endsWith('.sqfs'))
  })
  assert.deepEqual((await images.list()).images, [])
  assert.deepEqual(
    (await images.prune()).removed.map(({ layers, freedBytes }) => [layers, freedBytes]),
    [[0, 0]],
  )
  assert.equal((await events(images.pull(image))).at(-1)?.type, 'pulled')
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
