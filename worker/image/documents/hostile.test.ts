// Any document at all is either understood within the limits, or refused by an ImageError.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ImageError } from '../failure.js'
import { digestOf, types } from '../fixture.js'
import { parseConfig } from './config.js'
import { manifestTypes, parseIndex, parseManifest } from './manifest.js'
import { resolveManifest } from './resolve.js'

const names =
  'schemaVersion mediaType manifests layers config digest size platform os architecture annotations artifactType rootfs type diff_ids Env Cmd'
const key = fc.oneof(fc.constantFrom(...names.split(' ')), fc.string(), fc.constant('__proto__'))
const value = fc.oneof(
  fc.constantFrom(2, ...Object.values(types), `${types.layer}+gzip`, digestOf('a'), 'linux', 'amd64', 'layers', null, ''),
  fc.anything(),
)
const object = fc.object({ key, values: [value], maxDepth: 4, maxKeys: 12 })
/** Right in all but some fields, so that what lies behind the first check is reached. */
const nearly = (right: Record<string, unknown>) =>
  fc
    .tuple(object, fc.subarray(Object.keys(right)))
    .map(([wrong, kept]) => ({ ...wrong, ...Object.fromEntries(kept.map((name) => [name, right[name]])) }))
const descriptor = nearly({ mediaType: types.manifest, digest: digestOf('a'), size: 10 })
const index = nearly({ schemaVersion: 2, manifests: [] }).chain((right) =>
  fc.array(descriptor).map((manifests) => ({ ...right, manifests })),
)
const manifest = fc
  .tuple(
    nearly({ schemaVersion: 2 }),
    nearly({ mediaType: types.config, digest: digestOf('c'), size: 1 }),
    fc.array(nearly({ mediaType: types.layer, digest: digestOf('a'), size: 1 })),
  )
  .map(([right, config, layers]) => ({ ...right, config, layers }))
const config = fc
  .tuple(object, nearly({ type: 'layers', diff_ids: [digestOf('a')] }), nearly({ Env: ['A=1'], Cmd: ['x'], User: 'u' }))
  .map(([other, rootfs, config]) => ({ ...other, os: 'linux', architecture: null, rootfs, config }))

const bytesOf = (document: unknown): Buffer => Buffer.from(JSON.stringify(document) ?? '', 'utf8')
const documents = fc.oneof(index, manifest, config, object, fc.anything()).map((document) => {
  try {
    return bytesOf(document)
  } catch {
    return Buffer.from('0')
  }
})
const bytes = fc.oneof(
  { weight: 9, arbitrary: documents },
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
)

function orRefused(parse: () => void): void {
  try {
    parse()
  } catch (error) {
    assert.ok(error instanceof ImageError, `${error}`)
  }
}

test('manifest, config and index, whatever they hold', () => {
  const claim = { mediaType: manifestTypes[0] as string, digest: digestOf('a'), size: 0 }
  fc.assert(
    fc.property(bytes, (bytes) => {
      orRefused(() => assert.ok(parseManifest(bytes, claim).layers.length > 0))
      orRefused(() => parseConfig(bytes, digestOf('a')).diffIds.every((diffId) => assert.match(diffId, /^sha256:[0-9a-f]{64}$/)))
      orRefused(() => parseIndex(bytes, 'index'))
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 2000) },
  )
})

test('indexes that lead anywhere end, and read no more than 64 indexes', async () => {
  const entry = fc.record({
    mediaType: fc.constantFrom(types.index, types.dockerIndex, types.manifest, 'x'),
    digest: fc.constant(digestOf('a')),
    size: fc.constant(1),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(entry, { maxLength: 5 }), { minLength: 1 }), async (indexes) => {
      let fetched = 0
      const fetch = async () => bytesOf({ schemaVersion: 2, manifests: indexes[fetched++ % indexes.length] })
      await resolveManifest(indexes[0] ?? [], fetch).catch((error: unknown) => assert.ok(error instanceof ImageError, `${error}`))
      assert.ok(fetched <= 65)
    }),
  )
})
