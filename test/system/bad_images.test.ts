// An image that is wrong ends its run as IMAGE_ERROR, never started, with the digest or the file named, and leaves nothing in the store.

import assert from 'node:assert/strict'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { describeVerdict, type Finished, run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { images } from '../harness/images.js'
import { type Descriptor, digestOf, Layout, layer, layerOf, shellLayer, tar } from '../harness/layout.js'

const fixture = await Fixture.start()
const shell = await shellLayer()

/** Makes a layout `name`, with what `make` returns under the tag latest, and runs it. */
async function attempt(name: string, make: (layout: Layout) => Promise<Descriptor>): Promise<Finished> {
  const layout = await Layout.create(join(fixture.instance.folder, 'images', name))
  const reference = await layout.index({ latest: await make(layout) })
  return run(fixture.caisson, { image: `${reference}:latest`, args: ['true'] })
}

function refused(finished: Finished, reason: string, words: RegExp): void {
  const { outcome, effect, message } = finished.verdict
  assert.deepEqual(
    [outcome, effect, finished.verdict.reason],
    ['IMAGE_ERROR', 'NEVER_STARTED', reason],
    describeVerdict(finished),
  )
  assert.match(message, words)
}

const hex = (digest: string): RegExp => new RegExp(digest.slice(7, 19))

test('a folder that is not there', async () => {
  refused(await run(fixture.caisson, { image: `oci:${images}/nowhere` }), 'IMAGE_NOT_FOUND', /nowhere/)
})

test('a tag that is not there', async () => {
  refused(await run(fixture.caisson, { image: `oci:${images}/busybox:v9` }), 'IMAGE_NOT_FOUND', /v9/)
})

test('a folder that the operator did not allow', async () => {
  refused(await run(fixture.caisson, { image: 'oci:/etc' }), 'IMAGE_FOLDER_DENIED', /\/etc/)
  refused(await run(fixture.caisson, { image: `oci:${images}/../../../etc` }), 'IMAGE_FOLDER_DENIED', /etc/)
})

test('an archive that is none', async () => {
  const path = join(fixture.instance.folder, 'images', 'none.tar')
  await writeFile(path, 'no tar '.repeat(1000))
  refused(await run(fixture.caisson, { image: `oci-archive:${path}` }), 'IMAGE_MALFORMED', /tar/)
})

test('a manifest whose digest does not match', async () => {
  const claimed = digestOf(Buffer.from('other'))
  const finished = await attempt('bad-manifest', async (layout) => {
    const { mediaType, size } = await layout.image([shell])
    await layout.blob('{"schemaVersion":2}'.padEnd(size), mediaType, claimed)
    return { mediaType, size, digest: claimed }
  })
  refused(finished, 'IMAGE_DIGEST_MISMATCH', hex(claimed))
})

test('a layer whose digest does not match', async () => {
  const wrong = { ...shell, blob: gzipSync(await tar([{ name: 'x', content: 'other' }])) }
  const claimed = digestOf(Buffer.from('layer'))
  const finished = await attempt('bad-layer', (layout) =>
    layout.image([shell], {}, (manifest) => {
      const descriptor = { ...manifest.layers[0], digest: claimed, size: wrong.blob.length }
      void layout.blob(wrong.blob, shell.mediaType, claimed)
      return { ...manifest, layers: [descriptor] }
    }),
  )
  refused(finished, 'IMAGE_DIGEST_MISMATCH', hex(claimed))
})

test('a layer whose DiffID does not match', async () => {
  const other = await layer([{ name: 'unlike', content: 'the shell' }])
  const finished = await attempt('bad-diff-id', (layout) => layout.image([{ ...other, diffId: digestOf(Buffer.from('wrong')) }]))
  refused(finished, 'IMAGE_DIFF_ID_MISMATCH', hex(digestOf(Buffer.from('wrong'))))
})

test('a truncated layer', async () => {
  const { blob, mediaType, diffId } = await layer([{ name: 'long', content: 'truncated'.repeat(100_000) }])
  const cut = { blob: blob.subarray(0, blob.length >> 1), mediaType, diffId }
  refused(await attempt('truncated', (layout) => layout.image([cut])), 'IMAGE_TRUNCATED', hex(diffId))
})

test('a layer that ends within an entry', async () => {
  const whole = await tar([{ name: 'long', content: 'cut'.repeat(100_000) }])
  const finished = await attempt('cut', (layout) => layout.image([layerOf(whole.subarray(0, 4096))]))
  assert.equal(finished.verdict.outcome, 'IMAGE_ERROR', describeVerdict(finished))
})

test('a zip bomb', { timeout: 180_000 }, async () => {
  // 9 GiB of zeros in 9 MiB, as gzip members behind one another: refused at the limit of a layer, 8 GiB.
  const size = 9 * 2 ** 30
  const header = (await tar([{ name: 'bomb', content: Buffer.alloc(512) }])).subarray(0, 512)
  writeSize(header, size)
  const zeros = gzipSync(Buffer.alloc(64 << 20))
  const members = Array.from({ length: size / (64 << 20) }, () => zeros)
  const blob = Buffer.concat([gzipSync(header), ...members, gzipSync(Buffer.alloc(1024))])
  const bomb = { blob, mediaType: shell.mediaType, diffId: digestOf(Buffer.from('never reached')) }
  refused(await attempt('bomb', (layout) => layout.image([bomb])), 'IMAGE_TOO_LARGE', /8,?589,?934,?592|8 GiB/)
})

/** A tar header's size, base-256 where it does not fit in octal, and its checksum. */
function writeSize(header: Buffer, size: number): void {
  header.writeUInt8(0x80, 124)
  header.writeUIntBE(0, 125, 5)
  header.writeUIntBE(size, 130, 6)
  header.fill(' ', 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
}

test('a layer that is not there', async () => {
  const finished = await attempt('no-blob', async (layout) => {
    const other = await layer([{ name: 'absent', content: 'absent' }])
    const descriptor = await layout.image([other])
    await rm(join(layout.path, 'blobs', digestOf(other.blob).replace(':', '/')))
    return descriptor
  })
  refused(finished, 'IMAGE_MALFORMED', /sha256/)
})

test('an image without layers', async () => {
  const finished = await attempt('no-layers', (layout) => layout.image([]))
  assert.equal(finished.verdict.outcome, 'IMAGE_ERROR', describeVerdict(finished))
})

test('an index that leads to itself', async () => {
  const mediaType = 'application/vnd.oci.image.index.v1+json'
  const finished = await attempt('loop', async (layout) => {
    let inner = await layout.image([shell])
    for (let depth = 0; depth < 50; depth++)
      inner = await layout.blob(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [inner] }), mediaType)
    return inner
  })
  assert.equal(finished.verdict.outcome, 'IMAGE_ERROR', describeVerdict(finished))
})

test('a manifest that is not JSON, or not a manifest', async () => {
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  for (const [i, text] of ['{', '[]', 'null', '{"schemaVersion":2}', '{"schemaVersion":2,"config":{},"layers":{}}'].entries()) {
    refused(await attempt(`not-json-${i}`, (layout) => layout.blob(text, mediaType)), 'IMAGE_MALFORMED', /sha256|manifest/)
  }
})

test('an image for another machine', async () => {
  const finished = await attempt('arm', async (layout) => {
    const rootfs = { type: 'layers', diff_ids: [shell.diffId] }
    const config = JSON.stringify({ architecture: 's390x', os: 'linux', rootfs, config: {} })
    const configuration = await layout.blob(config, 'application/vnd.oci.image.config.v1+json')
    return layout.image([shell], {}, (manifest) => ({ ...manifest, config: configuration }))
  })
  refused(finished, 'IMAGE_PLATFORM', /s390x/)
})

test('an image that says no command', async () => {
  const layout = await Layout.create(join(fixture.instance.folder, 'images', 'no-command'))
  const reference = await layout.index({ latest: await layout.image([shell], { Cmd: [] }) })
  refused(await run(fixture.caisson, { image: `${reference}:latest` }), 'COMMAND_MISSING', /args|entrypoint/)
})

test('nothing of them is left in the store', async () => {
  const store = await readdir(join(fixture.instance.folder, 'state', 'layers', 'v1'))
  for (const name of store) assert.equal(name, `${shell.diffId.replace(':', '-')}.sqfs`)
})
