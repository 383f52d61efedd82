// The store of a real launcher that two workers share: what one of them uses or is about to use, the other one's needs do not take away.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Failure } from '../../proto/reason.js'
import { assertRefused, Layout, tarOf } from '../../worker/image/fixture.js'
import { defaultLayerLimits } from '../../worker/image/layers/limits.js'
import { Launcher } from './launcher.js'

const mib = 1 << 20
const never = () => new AbortController().signal

let launcher: Launcher
let made = 0

before(async () => {
  launcher = await Launcher.start()
})
after(() => launcher[Symbol.asyncDispose]())

/** With a layer of each of these sizes. */
async function imageOf(...sizes: number[]): Promise<string> {
  const layout = await Layout.at(join(launcher.images, `image-${made++}`))
  const tars = await Promise.all(
    sizes.map((size) =>
      tarOf([
        { name: '.', type: 'directory' },
        { name: 'data', data: randomBytes(size) },
      ]),
    ),
  )
  await layout.index([await layout.image(tars)])
  return `oci:${layout.path}`
}

const pathOf = (key: string | undefined) => join(launcher.store, `${key}.sqfs`)

test('two workers, one store within its budget', async () => {
  const bytes = 12 * mib
  const [one, other] = [await launcher.worker(defaultLayerLimits, bytes), await launcher.worker(defaultLayerLimits, bytes)]
  const shared = await imageOf(4 * mib)
  const [first, second] = await Promise.all([one.prepare(shared, never()), other.prepare(shared, never())])
  assert.deepEqual(first.layerKeys, second.layerKeys)
  second[Symbol.dispose]()
  // The other one makes more than there is room for, and all of it but what the first one holds may go.
  for (let count = 0; count < 4; count++) (await other.prepare(await imageOf(4 * mib), never()))[Symbol.dispose]()
  const stored = await one.inventory.storedLayers()
  assert.ok(stored.reduce((sum, { storedBytes }) => sum + storedBytes, 0) <= bytes)
  assert.ok(stored.some(({ key }) => key === first.layerKeys[0]))
  assert.ok(!(await other.inventory.prune()).layerKeys.includes(first.layerKeys[0] as string))
  // What is in use leaves no room: that is not the image's fault, and passes.
  const large = await imageOf(9 * mib)
  const isFull = (error: unknown) => error instanceof Failure && error.reason === 'STORE_FULL'
  await assert.rejects(other.prepare(large, never()), isFull)
  await assertRefused(other.prepare(await imageOf(13 * mib), never()), /12582912 \(--store-bytes/, 'IMAGE_TOO_LARGE')
  first[Symbol.dispose]()
  // In turn: by then the launcher has heard of the release.
  await one.layers.hold([], never())
  ;(await other.prepare(large, never()))[Symbol.dispose]()
  assert.deepEqual(
    (await one.inventory.verify(never())).filter(({ problem }) => problem),
    [],
  )
})

const harm: [string, RegExp, (path: string) => Promise<void>][] = [
  ['a layer with other bytes', /not those that were stored/, (path) => writeFile(path, 'x', { flag: 'r+' })],
  ['a layer that was cut', /not those that were stored/, (path) => truncate(path, 4096)],
  ['a layer with nothing in it', /not those that were stored/, (path) => truncate(path, 0)],
]
for (const [what, problem, spoil] of harm) {
  test(`${what} is found, taken out, and made again`, async () => {
    const worker = await launcher.worker()
    const text = await imageOf(100_000, 200_000)
    using image = await worker.prepare(text, never())
    const [key] = image.layerKeys
    await spoil(pathOf(key))
    const verified = await worker.inventory.verify(never())
    assert.match(verified.find((layer) => layer.key === key)?.problem ?? '', problem)
    assert.equal(verified.filter((layer) => layer.problem).length, 1)
    using again = await worker.prepare(text, never())
    assert.deepEqual(again.layerKeys, image.layerKeys)
    assert.ok((await worker.inventory.verify(never())).every((layer) => layer.problem === ''))
  })
}

test('a file that somebody else put there has no checksum', async () => {
  const worker = await launcher.worker()
  const key = `sha256-${'ab'.repeat(32)}`
  await writeFile(pathOf(key), 'hsqs')
  const verified = await worker.inventory.verify(never())
  assert.equal(verified.find((layer) => layer.key === key)?.problem, 'it has no checksum')
})
