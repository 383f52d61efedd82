// Images through the API and the command: removed, verified and pruned.

import assert from 'node:assert/strict'
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { container, describeVerdict, finish } from '../harness/finish.js'
import { events, failsWith, startImageService } from '../harness/imageService.js'
import { Layout, layer, shellLayer } from '../harness/layout.js'
import { until } from '../harness/until.js'

const { fixture, counted, caisson } = await startImageService()
const { images } = fixture.caisson

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
