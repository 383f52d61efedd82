import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { InvalidReference, parseReference } from './reference.js'

const hex = 'a'.repeat(64)

test('each form, with and without a tag', () => {
  assert.deepEqual(parseReference('oci:/images/x'), { kind: 'oci', path: '/images/x' })
  assert.deepEqual(parseReference('oci:/images/x:1.0'), { kind: 'oci', path: '/images/x', tag: '1.0' })
  assert.deepEqual(parseReference('oci-archive:/x.tar:docker.io/a/b:1'), {
    kind: 'oci-archive',
    path: '/x.tar',
    tag: 'docker.io/a/b:1',
  })
  assert.deepEqual(parseReference('docker-archive:/x.tar:a/b:1'), { kind: 'docker-archive', path: '/x.tar', tag: 'a/b:1' })
  assert.deepEqual(parseReference(`oci:/x@sha256:${hex}`), { kind: 'oci', path: '/x', digest: `sha256:${hex}` })
  assert.deepEqual(parseReference('oci:/a@b'), { kind: 'oci', path: '/a@b' })
})

const refusals: [string, RegExp][] = [
  ['', /missing/],
  ['alpine', /must be oci:PATH/],
  ['docker://alpine', /must be oci:PATH/],
  ['oci:', /absolute/],
  ['oci:relative', /absolute/],
  ['oci:./x', /absolute/],
  ['oci:/x:', /bad tag/],
  ['oci:/x:a b', /bad tag/],
  [`oci:/x:${'t'.repeat(256)}`, /bad tag/],
  ['oci:/x@sha256:abc', /bad digest/],
  [`oci:/x@sha256:${hex.toUpperCase()}`, /bad digest/],
  [`oci:/x:tag@sha256:${hex}`, /a tag and a digest/],
  [`docker-archive:/x@sha256:${hex}`, /REPOSITORY:TAG/],
  ['oci:/x\n', /control/],
  ['oci:/x\0', /control/],
  [`oci:/${'x'.repeat(4096)}`, /4096 bytes/],
]
for (const [text, message] of refusals) {
  test(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
    assert.throws(
      () => parseReference(text),
      (error: unknown) => error instanceof InvalidReference && message.test(error.message),
    )
  })
}

test('any text gives a reference with an absolute path, or InvalidReference', () => {
  const text = fc.oneof(
    fc.string(),
    fc.string().map((rest) => `oci:/${rest}`),
    fc.string({ unit: 'binary' }),
  )
  fc.assert(
    fc.property(text, (text) => {
      try {
        const { path, tag, digest } = parseReference(text)
        return path.startsWith('/') && !path.includes(':') && (tag === undefined || digest === undefined)
      } catch (error) {
        return error instanceof InvalidReference
      }
    }),
  )
})
