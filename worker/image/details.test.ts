import assert from 'node:assert/strict'
import { test } from 'node:test'
import { caisson } from '../../proto/messages.js'
import { mostAnswerBytes } from '../../redis/errands.js'
import { detailsOf, listOf } from './details.js'
import { parseConfig } from './documents/config.js'
import { hostPlatform } from './documents/platform.js'
import { digestOf } from './fixture.js'
import type { StoredImage } from './inventory.js'
import { meant } from './meant.js'

const { Answer } = caisson.errand.v1

function stored(config: object, layers: string[], change: Partial<StoredImage> = {}): StoredImage {
  const document = { ...hostPlatform, rootfs: { type: 'layers', diff_ids: layers.map(digestOf) }, ...config }
  const { diffIds, defaults, about } = parseConfig(Buffer.from(JSON.stringify(document)), digestOf('f'))
  const image = {
    manifestDigest: digestOf('e'),
    configDigest: digestOf('f'),
    diffIds,
    layerKeys: diffIds.map((diffId) => diffId.replace(':', '-')),
    storedBytes: 30,
    config: defaults,
    about,
    blobs: diffIds.map(() => ({ digest: digestOf('d'), size: 5 })),
  }
  return { references: ['docker.io/library/a:latest'], image, usedMs: 1_000, uses: 0, ...change }
}

test('config, layers with their sizes, history that leads to the layers, and who shares them', () => {
  const history = [
    { created: '2026-01-01T00:00:00Z', created_by: 'ADD rootfs' },
    { created_by: 'ENV A=1', empty_layer: true },
    { created_by: 'RUN make', comment: 'buildkit' },
  ]
  const config = { author: 'Ann', created: '2026-01-02T00:00:00Z', config: { Cmd: ['sh'], Labels: { a: 'b' } }, history }
  const image = stored(config, ['1', '2'])
  const other = stored({}, ['1', '3'], { references: ['docker.io/library/b:1', 'docker.io/library/c:1'] })
  other.image.manifestDigest = digestOf('9')
  const details = detailsOf(image, [image, other], new Map([[image.image.layerKeys[1] ?? '', 20]]))
  assert.deepEqual(
    [details.author, details.created, details.labels, details.truncated],
    ['Ann', '2026-01-02T00:00:00Z', { a: 'b' }, false],
  )
  assert.deepEqual(details.process?.cmd, ['sh'])
  assert.deepEqual(
    details.history?.map(({ createdBy, layer }) => [createdBy, layer]),
    [
      ['ADD rootfs', 0],
      ['ENV A=1', undefined],
      ['RUN make', 1],
    ],
  )
  assert.deepEqual(
    details.layers?.map(({ diffId, storedBytes, sharedWith, sharedCount }) => [diffId, storedBytes, sharedWith, sharedCount]),
    [
      [digestOf('1'), 0, ['docker.io/library/b:1'], 1],
      [digestOf('2'), 20, [], 0],
    ],
  )
})

test('a config that says more than anybody wants to know is cut; one that says it wrongly is left out', () => {
  const long = 'ä'.repeat(2_999)
  const many = Array.from({ length: 1_100 }, () => ({ created_by: long, comment: long, created: long, author: long }))
  const labels = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`${i}${long}`, long]))
  const words = Array.from({ length: 200 }, () => long)
  const process = { Cmd: words, Entrypoint: words, Env: words, Labels: labels }
  const hugest = stored({ author: long, history: many, config: process }, ['1'])
  const others = Array.from({ length: 1_000 }, (_, i) => {
    const other = stored({}, ['1'], { references: Array.from({ length: 60 }, (_, j) => `oci:/${'x'.repeat(4_000)}${i}-${j}`) })
    other.image.manifestDigest = String(i)
    return other
  })
  const details = detailsOf(hugest, [hugest, ...others], new Map())
  assert.equal(details.truncated, true)
  assert.equal(details.history?.length, 1_000)
  assert.ok(Buffer.byteLength(details.author ?? '') <= 4_096)
  assert.ok((details.author ?? '').startsWith('ää') && !details.author?.includes('\ufffd'))
  assert.equal(details.layers?.[0]?.sharedCount, 1_000)
  assert.ok(Answer.encode({ details }).finish().length < mostAnswerBytes)
  const listed = listOf([hugest, ...others])
  assert.equal(listed.truncated, true)
  assert.ok(Answer.encode({ listed }).finish().length < mostAnswerBytes)

  const odd = { history: [1, null, 'x', { created_by: 7 }], author: {}, created: ['x'], config: { Labels: { a: 1, b: 'b' } } }
  const { history, author, labels: kept } = detailsOf(stored(odd, ['1']), [], new Map())
  assert.deepEqual([history?.length, author, kept], [4, '', { a: '', b: 'b' }])
  for (const wrong of [{ history: {} }, { history: 'x' }, { config: { Labels: [] } }])
    detailsOf(stored(wrong, ['1']), [], new Map())
})

test('an image is meant by its name in short or in full, and by its digests', () => {
  const image = stored({}, ['1'])
  const newer = stored({}, ['2'], { usedMs: 2_000 })
  for (const text of ['a', 'library/a', 'docker.io/library/a:latest', digestOf('e'), digestOf('f')])
    assert.equal(meant(text, [image, newer]), newer)
  for (const text of ['b', 'a:1', 'quay.io/a', digestOf('1')]) assert.throws(() => meant(text, [image]), /is not on this worker/)
})
