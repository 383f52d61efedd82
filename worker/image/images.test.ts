import assert from 'node:assert/strict'
import { readdir, rename, rm, symlink, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { assertRefused, Layout, layerTar, named, temporaryFolder } from './fixture.js'
import { Images } from './images.js'
import { defaultLayerLimits } from './layers/limits.js'
import { ScriptedLauncher } from './layers/scripted-launcher.js'
import { LayerStore } from './layers/store.js'
import { registryOptions } from './registry/options.js'
import { Registries } from './registry/registries.js'
import { ImageFolders } from './sources/folders.js'

const never = new AbortController().signal

async function imagesOf(folder: string, launcher: ScriptedLauncher): Promise<Images> {
  const layers = new LayerStore({
    launcherPath: launcher.path,
    folder: launcher.store,
    limits: defaultLayerLimits,
    bytes: 1e9,
    parallel: 2,
    launcherMs: 20_000,
  })
  return new Images(await ImageFolders.open([folder]), layers, new Registries(registryOptions({}, {})))
}

test('a reference is read anew only when its index or the store has changed', async () => {
  await using folder = await temporaryFolder()
  await using launcher = await ScriptedLauncher.start()
  const images = await imagesOf(folder.path, launcher)
  const layout = await Layout.at(join(folder.path, 'x'))
  const [one, two] = [await layout.image([await layerTar('1')]), await layout.image([await layerTar('1'), await layerTar('2')])]
  const text = `oci:${layout.path}:latest`
  await layout.index([named(one, 'latest')])
  const first = await images.prepare(text, never)
  assert.equal(first.manifestDigest, one.digest)
  assert.deepEqual(first.config.cmd, ['/bin/sh'])
  assert.equal(first.layerKeys[0], first.diffIds[0]?.replace(':', '-'))
  assert.ok(first.storedBytes > 0)
  // Were it read again, this would be noticed.
  await rename(join(layout.path, 'blobs'), join(layout.path, 'away'))
  assert.equal((await images.prepare(text, never)).layerKeys, first.layerKeys)
  await rename(join(layout.path, 'away'), join(layout.path, 'blobs'))

  await layout.index([named(two, 'latest')])
  assert.equal((await images.prepare(text, never)).diffIds.length, 2)
  assert.equal(launcher.asked.length, 2)

  // A layer that left the store is made again; one that came changes nothing.
  for (const name of await readdir(launcher.store)) await rm(join(launcher.store, name))
  assert.equal((await images.prepare(text, never)).diffIds.length, 2)
  assert.equal(launcher.asked.length, 4)
  await utimes(launcher.store, new Date(), new Date(0))
  await images.prepare(text, never)
  assert.equal(launcher.asked.length, 4)
})

test('a symlink that is moved to another image means that one', async () => {
  await using folder = await temporaryFolder()
  await using launcher = await ScriptedLauncher.start()
  const images = await imagesOf(folder.path, launcher)
  for (const name of ['v1', 'v2']) {
    const layout = await Layout.at(join(folder.path, name))
    await layout.index([await layout.image([await layerTar(name)])])
  }
  const digest = async (target: string) => {
    await symlink(target, join(folder.path, 'next'))
    await rename(join(folder.path, 'next'), join(folder.path, 'current'))
    return (await images.prepare(`oci:${folder.path}/current`, never)).manifestDigest
  }
  const [one, two] = [await digest('v1'), await digest('v2')]
  assert.notEqual(one, two)
  assert.equal(await digest('v1'), one)
})

test('fifty first runs at once read and convert once; the list tells each image once', async () => {
  await using folder = await temporaryFolder()
  await using launcher = await ScriptedLauncher.start()
  const images = await imagesOf(folder.path, launcher)
  const layout = await Layout.at(join(folder.path, 'x'))
  await layout.index([await layout.image([await layerTar('1'), await layerTar('2')])])
  const text = `oci:${layout.path}`
  const all = await Promise.all(Array.from({ length: 50 }, () => images.prepare(text, new AbortController().signal)))
  assert.equal(new Set(all.map(({ layerKeys }) => layerKeys)).size, 1)
  assert.equal(launcher.asked.length, 2)
  const [listed, ...others] = await images.inventory.list()
  assert.equal(others.length, 0)
  assert.deepEqual(listed?.references, [text])
  assert.equal(listed?.image.diffIds.length, 2)
})

test('errors name spec.image, or the image', async () => {
  await using folder = await temporaryFolder()
  await using launcher = await ScriptedLauncher.start()
  const images = await imagesOf(folder.path, launcher)
  await assertRefused(images.prepare('docker://alpine', never), /^spec.image must be written without/, 'IMAGE_REFERENCE')
  await assertRefused(images.prepare('oci:/etc', never), /^spec.image: \/etc is not inside/, 'IMAGE_FOLDER_DENIED')
  const layout = await Layout.at(join(folder.path, 'x'))
  const rootfs = { type: 'layers', diff_ids: [] }
  await layout.index([await layout.image([await layerTar('1')], { config: { rootfs } })])
  await assertRefused(
    images.prepare(`oci:${layout.path}`, never),
    /has 1 layers, but its config has 0 diff_ids/,
    'IMAGE_MALFORMED',
  )
})

test('a prepared image costs a run next to nothing', async (t) => {
  await using folder = await temporaryFolder()
  await using launcher = await ScriptedLauncher.start()
  const images = await imagesOf(folder.path, launcher)
  const layout = await Layout.at(join(folder.path, 'x'))
  await layout.index([await layout.image([await layerTar('1'), await layerTar('2')])])
  const text = `oci:${layout.path}`
  await images.prepare(text, never)
  const runs = 500
  const before = process.cpuUsage()
  for (let run = 0; run < runs; run++) await images.prepare(text, never)
  const { user, system } = process.cpuUsage(before)
  const each = (user + system) / runs
  t.diagnostic(`${each.toFixed(0)} µs of processor time`)
  assert.ok(each < 2000)
})
