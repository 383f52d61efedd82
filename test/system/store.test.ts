// The store within what the operator allows: layers that nobody uses give way, images that are too large are refused by name of the limit.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { begun, describeVerdict, run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { digestOf, type Layer, Layout, layer, shellLayer, tar } from '../harness/layout.js'
import { imageOf, Store } from '../harness/store.js'

const mib = 1 << 20
const storeBytes = 10 * mib
const layerBytes = 16 * mib
const flags = ['--store-bytes', `${storeBytes}`, '--layer-bytes', `${layerBytes}`, '--layer-entries', '1000']
const fixture = await Fixture.start({ args: flags })
const { instance, caisson } = fixture
const folder = join(instance.folder, 'images')
const store = new Store(join(instance.folder, 'state'), instance)

const runs = async (image: string) => {
  const finished = await run(caisson, { image, args: ['true'] })
  assert.equal(finished.verdict.outcome, 'EXITED', describeVerdict(finished))
}

async function refused(image: string, message: RegExp): Promise<void> {
  const { verdict } = await run(caisson, { image, args: ['true'] })
  assert.equal(`${verdict.outcome} ${verdict.reason}`, 'IMAGE_ERROR IMAGE_TOO_LARGE', verdict.message)
  assert.equal(verdict.effect, 'NEVER_STARTED')
  assert.match(verdict.message, message)
}

/** Its largest layer; every image has the shell's besides. */
const largest = async () =>
  new Set((await store.upkeep.layers()).filter(({ storedBytes }) => storedBytes > 2 * mib).map(({ key }) => key))

test('the longest unused layers give way to new ones, and come back', async () => {
  const [a, b, c] = [await imageOf(folder, [3 * mib]), await imageOf(folder, [3 * mib]), await imageOf(folder, [3 * mib])]
  await runs(a)
  const [ofA] = await largest()
  await runs(b)
  const [ofB] = [...(await largest())].filter((key) => key !== ofA)
  // A hold outlives its run by a second; its end, too, counts as a use. Nobody sees it from here, so it has three times that.
  await sleep(3_000)
  // Used again, it is no longer the longest unused.
  await runs(a)
  await runs(c)
  const left = await largest()
  assert.ok(left.has(ofA as string) && !left.has(ofB as string), 'the longest unused is gone')
  assert.ok((await store.bytes()) <= storeBytes)
  await runs(b)
  assert.ok((await store.bytes()) <= storeBytes)
  await store.expectSound()
})

test('what a run uses stays, whatever comes', async () => {
  const used = await imageOf(folder, [3 * mib])
  const before = await largest()
  const end = await begun(caisson, { image: used }, 'cat data-0 | wc -c')
  const [key] = [...(await largest())].filter((key) => !before.has(key))
  for (let count = 0; count < 3; count++) await runs(await imageOf(folder, [3 * mib]))
  assert.ok((await store.bytes()) <= storeBytes)
  assert.ok((await largest()).has(key as string))
  assert.ok(!(await store.upkeep.removeUnused()).keys.includes(key as string))
  const finished = await end()
  assert.equal(finished.stdout.toString().trim(), `${3 * mib}`, describeVerdict(finished))
})

test('an image that is larger than the store', async () => {
  await refused(await imageOf(folder, [11 * mib]), /10485760 \(--store-bytes/)
  await refused(await imageOf(folder, [4 * mib, 4 * mib, 4 * mib]), /10485760 \(--store-bytes/)
  await store.expectSound()
})

test('a layer that is larger than the operator allows: bytes, and entries', async () => {
  const bombOf = async (bomb: Layer) => {
    const layout = await Layout.create(join(folder, `bomb-${bomb.diffId.slice(-8)}`))
    return layout.index({ latest: await layout.image([await shellLayer(), bomb]) })
  }
  // 1 GiB of zeros, in gzip members behind one another.
  const header = (await tar([{ name: 'bomb', content: Buffer.alloc(512) }])).subarray(0, 512)
  header.write('10000000000\0', 124)
  header.write('        ', 148)
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  )
  const member = gzipSync(Buffer.alloc(64 * mib))
  const blob = Buffer.concat([gzipSync(header), ...Array.from({ length: 16 }, () => member), gzipSync(Buffer.alloc(1024))])
  const zeros = { ...(await shellLayer()), blob, diffId: digestOf(Buffer.from('never reached')) }
  await refused(await bombOf(zeros), new RegExp(`${layerBytes}`))
  const many = await layer(Array.from({ length: 1001 }, (_, index) => ({ name: `file-${index}` })))
  await refused(await bombOf(many), /1000/)
  await runs(await imageOf(folder, [mib]))
})
