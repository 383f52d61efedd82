// Ways from a layout to a manifest that lead nowhere.
import { rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf, layerTar, named, refusal, types } from '../fixture.js'
import { hostPlatform } from './platform.js'

const tar = await layerTar('hello')

refusal(
  'a manifest with other bytes',
  'IMAGE_DIGEST_MISMATCH',
  /blob sha256:\w{64} holds other bytes: their digest is sha256:/,
  async (layout) => {
    const image = await layout.image([tar])
    await layout.index([image])
    await writeFile(layout.pathOf(image.digest), 'x'.repeat(image.size))
  },
)

refusal(
  'a manifest longer than its descriptor says',
  'IMAGE_DIGEST_MISMATCH',
  /is longer than its descriptor says/,
  async (layout) => {
    const image = await layout.image([tar])
    await layout.index([{ ...image, size: image.size - 1 }])
  },
)

refusal(
  'a manifest shorter than its descriptor says',
  'IMAGE_DIGEST_MISMATCH',
  /\d+ bytes where its descriptor says \d+/,
  async (layout) => {
    const image = await layout.image([tar])
    await layout.index([{ ...image, size: image.size + 1 }])
  },
)

refusal('a manifest of 100 MB', 'IMAGE_TOO_LARGE', /has 100000000 bytes, at most 4194304 are taken/, async (layout) => {
  const image = await layout.image([tar])
  await truncate(layout.pathOf(image.digest), 100_000_000)
  await layout.index([{ ...image, size: 100_000_000 }])
})

refusal('an index.json of 100 MB', 'IMAGE_TOO_LARGE', /index.json .* at most 4194304/, async (layout) => {
  await layout.index([])
  await truncate(join(layout.path, 'index.json'), 100_000_000)
})

refusal('an index.json with 2,000 images', 'IMAGE_TOO_LARGE', /manifests has 2000 entries, at most 1000/, async (layout) => {
  await layout.index(Array(2000).fill(await layout.image([tar])))
})

refusal('Docker schema 1 by media type', 'IMAGE_UNSUPPORTED', /a manifest of Docker schema 1/, async (layout) => {
  const image = await layout.image([tar])
  await layout.index([{ ...image, mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws' }])
})

refusal('a blob that is missing', 'IMAGE_MALFORMED', /blob sha256:\w{64} is missing/, async (layout) => {
  const image = await layout.image([tar])
  await rm(layout.pathOf(image.digest))
  await layout.index([image])
})

// A digest that leads to itself cannot be made; one that lies can.
refusal('an index that holds itself', 'IMAGE_DIGEST_MISMATCH', /holds other bytes/, async (layout) => {
  const self = { mediaType: types.index, digest: digestOf('b'), size: 1000 }
  await writeFile(layout.pathOf(self.digest), JSON.stringify({ schemaVersion: 2, manifests: [self] }).padEnd(1000))
  await layout.index([self])
})

refusal('indexes nested deeper than anybody needs', 'IMAGE_TOO_LARGE', /at most 4 deep and 64 in all/, async (layout) => {
  let inner = await layout.image([tar])
  for (let depth = 0; depth < 5; depth++) inner = await layout.json({ schemaVersion: 2, manifests: [inner] }, types.index)
  await layout.index([inner])
})

refusal('indexes that hold each other a million times', 'IMAGE_TOO_LARGE', /at most 4 deep and 64 in all/, async (layout) => {
  let inner = await layout.image([tar])
  for (let depth = 0; depth < 3; depth++)
    inner = await layout.json({ schemaVersion: 2, manifests: Array(100).fill(inner) }, types.index)
  await layout.index([inner])
})

refusal(
  'nothing for this host',
  'IMAGE_PLATFORM',
  /it offers: linux\/s390x, linux\/arm\/v7, linux\/amd64\/v4/,
  async (layout) => {
    const image = await layout.image([tar])
    const offered = ['s390x', 'arm/v7', 'amd64/v4'].map((name) => name.split('/'))
    const manifests = offered.map(([architecture, variant]) => ({ ...image, platform: { os: 'linux', architecture, variant } }))
    const index = await layout.json({ schemaVersion: 2, manifests }, types.index)
    await layout.index([index])
  },
)

refusal(
  'a tag that is not there',
  'IMAGE_NOT_FOUND',
  /holds no image 2.0; there are: 1.0, latest/,
  async (layout) => {
    const image = await layout.image([tar])
    await layout.index([named(image, '1.0'), named(image, 'latest')])
  },
  () => ':2.0',
)

refusal(
  'no tag where there are several images',
  'IMAGE_NOT_FOUND',
  /several images, and .* not say which; there are: a, b/,
  async (layout) => {
    await layout.index([named(await layout.image([tar]), 'a'), named(await layout.image([tar, tar]), 'b')])
  },
)

refusal(
  'no tag where several images are for this host',
  'IMAGE_NOT_FOUND',
  /several images, and .* not say which; there are: a, b/,
  async (layout) => {
    const platform = hostPlatform
    const images = [await layout.image([tar]), await layout.image([tar, tar])]
    await layout.index([named({ ...images[0], platform }, 'a'), named({ ...images[1], platform }, 'b')])
  },
)

refusal(
  'a digest that is not there',
  'IMAGE_NOT_FOUND',
  /holds no image sha256:dddd/,
  async (layout) => layout.index([await layout.image([tar])]),
  () => `@${digestOf('d')}`,
)

refusal('a layout of another version', 'IMAGE_UNSUPPORTED', /imageLayoutVersion is 2.0.0/, async (layout) => {
  await writeFile(join(layout.path, 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}')
})

refusal('a folder that is no layout', 'IMAGE_NOT_FOUND', /no readable oci-layout in it/, async (layout) =>
  rm(join(layout.path, 'oci-layout')),
)
