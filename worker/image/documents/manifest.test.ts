// Manifests and configs that are wrong in one point each.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf, layerTar, refusal, types } from '../fixture.js'
import { chainIds } from './config.js'
import { sha256 } from './digest.js'

const tar = await layerTar('hello')

const configs: [string, Parameters<typeof refusal>[1], RegExp, Record<string, unknown>][] = [
  ['no rootfs', 'IMAGE_MALFORMED', /rootfs is missing, must be an object/, { rootfs: null }],
  [
    'a diff_id that is none',
    'IMAGE_MALFORMED',
    /rootfs.diff_ids\[0\] must be sha256:/,
    { rootfs: { type: 'layers', diff_ids: ['sha256:xyz'] } },
  ],
  ['another rootfs type', 'IMAGE_MALFORMED', /rootfs.type must be "layers"/, { rootfs: { type: 'vhd', diff_ids: [] } }],
  ['Env that is no list', 'IMAGE_MALFORMED', /config.Env must be a list/, { config: { Env: { A: '1' } } }],
  ['Cmd with a number', 'IMAGE_MALFORMED', /config.Cmd\[1\] must be a string/, { config: { Cmd: ['a', 1] } }],
  ['Cmd with a NUL', 'IMAGE_MALFORMED', /config.Cmd\[0\] holds a NUL/, { config: { Cmd: ['a\0b'] } }],
  [
    'Cmd of 5,000 words',
    'IMAGE_TOO_LARGE',
    /config.Cmd has 5000 entries, at most 4096/,
    { config: { Cmd: Array(5000).fill('a') } },
  ],
  [
    'another platform',
    'IMAGE_PLATFORM',
    /nothing for linux\/\w+; it offers: windows\/arm/,
    { os: 'windows', architecture: 'arm' },
  ],
]
for (const [name, reason, message, config] of configs) {
  refusal(`config with ${name}`, reason, message, async (layout) => layout.index([await layout.image([tar], { config })]))
}

const layer = { mediaType: types.layer, digest: digestOf('a'), size: 1 }
const layers = (change: Record<string, unknown>) => ({ layers: [{ ...layer, ...change }] })
const empty = { ...layer, mediaType: 'application/vnd.oci.empty.v1+json' }
const manifests: typeof configs = [
  ['schemaVersion 1', 'IMAGE_UNSUPPORTED', /schema 1/, { schemaVersion: 1 }],
  ['no schemaVersion', 'IMAGE_MALFORMED', /schemaVersion must be 2/, { schemaVersion: undefined }],
  ['manifests too', 'IMAGE_MALFORMED', /manifest and index at once/, { manifests: [] }],
  ['another mediaType inside', 'IMAGE_MALFORMED', /is .*index.*, but its descriptor says .*manifest/, { mediaType: types.index }],
  ['an artifact', 'IMAGE_UNSUPPORTED', /artifact of type application\/sbom/, { artifactType: 'application/sbom', config: empty }],
  ['an artifact by its config', 'IMAGE_UNSUPPORTED', /artifact of type x\/helm/, { config: { ...layer, mediaType: 'x/helm' } }],
  ['an encrypted layer', 'IMAGE_UNSUPPORTED', /layers\[0\] is encrypted/, layers({ mediaType: `${types.layer}+gzip+encrypted` })],
  [
    'a layer of a wrong media type',
    'IMAGE_UNSUPPORTED',
    /layers\[0\] .* not supported \(text\/html\)/,
    layers({ mediaType: 'text/html' }),
  ],
  ['a negative layer size', 'IMAGE_MALFORMED', /layers\[0\].size must be a size/, layers({ size: -1 })],
  ['a layer size beyond 2^53', 'IMAGE_MALFORMED', /layers\[0\].size must be a size/, layers({ size: 2 ** 60 })],
  ['a digest that is a path', 'IMAGE_MALFORMED', /layers\[0\].digest must be/, layers({ digest: 'sha256:../../../etc/passwd' })],
  ['layers that are no list', 'IMAGE_MALFORMED', /layers must be a list/, { layers: 'none' }],
  ['no config', 'IMAGE_MALFORMED', /config is missing/, { config: undefined }],
]
for (const [name, reason, message, manifest] of manifests) {
  refusal(`manifest with ${name}`, reason, message, async (layout) => layout.index([await layout.image([tar], { manifest })]))
}

refusal('no layers', 'IMAGE_MALFORMED', /layers is empty/, async (layout) => layout.index([await layout.image([])]))

refusal('1001 layers', 'IMAGE_TOO_LARGE', /layers has 1001 entries, at most 1000/, async (layout) => {
  await layout.index([await layout.image(Array(1001).fill(tar))])
})

refusal('a config that is no JSON', 'IMAGE_MALFORMED', /config sha256:\w{64} is not JSON/, async (layout) => {
  const config = await layout.blob(Buffer.from('{'), types.config)
  await layout.index([await layout.image([tar], { manifest: { config } })])
})

refusal('JSON that is not UTF-8', 'IMAGE_MALFORMED', /is not JSON/, async (layout) => {
  const config = await layout.blob(Buffer.from([0x22, 0xff, 0x22]), types.config)
  await layout.index([await layout.image([tar], { manifest: { config } })])
})

refusal('JSON as deep as it is long', 'IMAGE_MALFORMED', /is not JSON|must be an object/, async (layout) => {
  const config = await layout.blob(Buffer.from('['.repeat(1 << 20) + ']'.repeat(1 << 20)), types.config)
  await layout.index([await layout.image([tar], { manifest: { config } })])
})

refusal('a config of 100 MB', 'IMAGE_TOO_LARGE', /at most 8388608 are taken/, async (layout) => {
  const config = { mediaType: types.config, digest: digestOf('c'), size: 100_000_000 }
  await layout.index([await layout.image([tar], { manifest: { config } })])
})

test('ChainIDs are as the specification says', () => {
  const [a, b] = [digestOf('1'), digestOf('2')]
  assert.deepEqual(chainIds([a, b]), [a, sha256(Buffer.from(`${a} ${b}`))])
})
