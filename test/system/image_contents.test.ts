// Images through the API and the command: listed, and looked into.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { events, startImageService } from '../harness/imageService.js'
import { busybox } from '../harness/images.js'
import { Layout, layer } from '../harness/layout.js'

const { fixture, counted, caisson } = await startImageService()
const { images } = fixture.caisson

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
  for (const image of [one, other]) await events(images.pull(image))
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
