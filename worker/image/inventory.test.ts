import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ImageInUse, ImageUnknown } from './failure.js'
import { assertRefused, Layout, layerTar, named, temporaryFolder } from './fixture.js'
import { Images } from './images.js'
import { defaultLayerLimits } from './layers/limits.js'
import { ScriptedLauncher } from './layers/scripted-launcher.js'
import { LayerStore } from './layers/store.js'
import { registryOptions } from './registry/options.js'
import { Registries } from './registry/registries.js'
import { ImageFolders } from './sources/folders.js'

const never = new AbortController().signal

/** A worker, and a layout with the images "one" (layer 1), "also" (the same), and "two" (layers 1 and 2). */
async function world() {
  const folder = await temporaryFolder()
  const launcher = await ScriptedLauncher.start()
  const options = {
    launcherPath: launcher.path,
    folder: launcher.store,
    limits: defaultLayerLimits,
    bytes: 1e9,
    parallel: 2,
    launcherMs: 20_000,
  }
  const images = new Images(
    await ImageFolders.open([folder.path]),
    new LayerStore(options),
    new Registries(registryOptions({}, {})),
  )
  const layout = await Layout.at(join(folder.path, 'x'))
  const [tar1, tar2] = [await layerTar('1'), await layerTar('2')]
  const [one, two] = [await layout.image([tar1]), await layout.image([tar1, tar2])]
  await layout.index([named(one, 'one'), named(one, 'also'), named(two, 'two')])
  const text = (tag: string) => `oci:${layout.path}:${tag}`
  return {
    ...{ launcher, images, inventory: images.inventory, text, one, two },
    prepare: (tag: string) => images.prepare(text(tag), never),
    stored: async () => (await readdir(launcher.store)).length,
    async [Symbol.asyncDispose]() {
      await folder[Symbol.asyncDispose]()
      await launcher[Symbol.asyncDispose]()
    },
  }
}

test('what runs use is held until they are over, and told to the next launcher', async () => {
  await using w = await world()
  const [first, second] = [await w.prepare('two'), await w.prepare('one')]
  const held = [...first.layerKeys, ...second.layerKeys].sort()
  assert.deepEqual((await w.inventory.prune()).layerKeys, [])
  assert.deepEqual(w.launcher.held, held)
  w.launcher.die()
  const third = await w.prepare('one')
  assert.deepEqual((await w.inventory.prune()).layerKeys, [])
  assert.deepEqual(w.launcher.held, [...held, ...third.layerKeys].sort())
  for (const image of [first, first, second, third]) image[Symbol.dispose]()
  const { layerKeys, references, freedBytes } = await w.inventory.prune()
  assert.deepEqual(layerKeys, first.layerKeys.toSorted())
  assert.deepEqual(references, [w.text('one'), w.text('two')])
  assert.ok(freedBytes > 0)
  assert.deepEqual(w.launcher.held, [])
  assert.equal(await w.stored(), 0)
  // And is made again.
  assert.deepEqual((await w.prepare('two')).layerKeys, first.layerKeys)
})

test('an image goes with its last reference, and leaves what another one has', async () => {
  await using w = await world()
  for (const tag of ['one', 'also', 'two']) (await w.prepare(tag))[Symbol.dispose]()
  const listed = await w.inventory.list()
  assert.deepEqual(
    listed.map(({ references, uses }) => [references, uses]),
    [
      [[w.text('also'), w.text('one')], 0],
      [[w.text('two')], 0],
    ],
  )
  assert.deepEqual(await w.inventory.remove(w.text('also')), { references: [w.text('also')], layerKeys: [], freedBytes: 0 })
  assert.deepEqual((await w.inventory.remove(w.one.digest)).layerKeys, [])
  assert.equal(await w.stored(), 2)
  assert.equal((await w.inventory.remove(w.two.digest)).layerKeys.length, 2)
  assert.equal(await w.stored(), 0)
  assert.deepEqual(await w.inventory.list(), [])
  await assert.rejects(w.inventory.remove(w.text('two')), ImageUnknown)
  await assertRefused(w.inventory.remove('docker://x'), /must be written without/, 'IMAGE_REFERENCE')
})

test('an image that a run has is not removed; one of several references is', async () => {
  await using w = await world()
  const image = await w.prepare('one')
  await assert.rejects(w.inventory.remove(w.text('one')), ImageInUse)
  await w.prepare('also')
  assert.deepEqual((await w.inventory.remove(w.text('also'))).references, [w.text('also')])
  await assert.rejects(w.inventory.remove(w.one.digest), ImageInUse)
  assert.equal((await w.inventory.list())[0]?.uses, 2)
  assert.equal((await w.inventory.storedLayers())[0]?.key, image.layerKeys[0])
})

test('a broken layer is reported, and made again when it is needed next', async () => {
  await using w = await world()
  const image = await w.prepare('two')
  const [broken, sound] = image.layerKeys as [string, string]
  w.launcher.problems.set(broken, 'its bytes are not those that were stored')
  const seen: string[] = []
  const verified = await w.inventory.verify(never, ({ key }) => seen.push(key))
  assert.deepEqual(seen, [broken, sound].sort())
  assert.deepEqual(
    verified.filter(({ problem }) => problem).map(({ key }) => key),
    [broken],
  )
  assert.deepEqual(await w.inventory.list(), [])
  assert.equal(await w.stored(), 1)
  assert.deepEqual((await w.prepare('two')).layerKeys, image.layerKeys)
  assert.equal(w.launcher.asked.length, 3)
})
