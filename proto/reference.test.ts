import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { InvalidReference, parseReference } from './reference.js'
import { type RegistryReference, registryText } from './registry.js'

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

const names: [string, Omit<RegistryReference, 'kind'>][] = [
  ['alpine', { host: 'docker.io', repository: 'library/alpine', tag: 'latest' }],
  ['oci', { host: 'docker.io', repository: 'library/oci', tag: 'latest' }],
  ['docker-archive', { host: 'docker.io', repository: 'library/docker-archive', tag: 'latest' }],
  ['alpine:3.20', { host: 'docker.io', repository: 'library/alpine', tag: '3.20' }],
  ['user/app', { host: 'docker.io', repository: 'user/app', tag: 'latest' }],
  ['docker.io/alpine', { host: 'docker.io', repository: 'library/alpine', tag: 'latest' }],
  ['index.docker.io/a/b', { host: 'docker.io', repository: 'a/b', tag: 'latest' }],
  ['localhost/a', { host: 'localhost', repository: 'a', tag: 'latest' }],
  ['host/a', { host: 'docker.io', repository: 'host/a', tag: 'latest' }],
  ['HOST.example/a', { host: 'host.example', repository: 'a', tag: 'latest' }],
  ['host.example/a', { host: 'host.example', repository: 'a', tag: 'latest' }],
  ['[2001:db8::1]:5000/a', { host: '[2001:db8::1]:5000', repository: 'a', tag: 'latest' }],
  [`alpine@sha256:${hex}`, { host: 'docker.io', repository: 'library/alpine', digest: `sha256:${hex}` }],
  [`host:5000/a/b:tag@sha256:${hex}`, { host: 'host:5000', repository: 'a/b', tag: 'tag', digest: `sha256:${hex}` }],
  ['a.b/c__d/e-----f:_T', { host: 'a.b', repository: 'c__d/e-----f', tag: '_T' }],
]
for (const [text, expected] of names) {
  test(`${text} is an image in a registry`, () => {
    const reference = parseReference(text)
    assert.deepEqual(reference, { kind: 'registry', ...expected })
    assert.ok(reference.kind === 'registry')
    // Written in full it means the same.
    assert.deepEqual(parseReference(registryText(reference)), reference)
  })
}

const refusals: [string, RegExp][] = [
  ['', /missing/],
  ['docker://alpine', /without "docker:\/\/"/],
  ['https://host/a', /must be NAME/],
  ['/images/x', /must be NAME/],
  ['./x', /must be NAME/],
  ['dir:/images/x', /must be NAME/],
  ['Alpine', /bad repository/],
  ['a//b', /bad repository/],
  ['HOST/a', /bad repository/],
  ['300.1.1.1/a', /bad registry host/],
  ['a/', /bad repository/],
  ['/a', /must be NAME/],
  ['a..b', /bad repository/],
  ['a___b', /bad repository/],
  ['-a', /bad repository/],
  ['alpine:', /bad tag/],
  ['alpine:-1', /bad tag/],
  [`alpine:${'t'.repeat(129)}`, /bad tag/],
  ['alpine@sha256:12', /bad digest/],
  ['alpine@md5:00', /bad digest/],
  ['alpine@latest', /bad digest/],
  [hex, /image id/],
  ['host:0/a', /bad registry host/],
  ['host:65536/a', /bad registry host/],
  ['ho_st.x/a', /bad registry host/],
  ['user@host.x/a', /bad digest/],
  [`host.x/${'a'.repeat(250)}`, /more than 255/],
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

const word = fc.stringMatching(/^[a-z0-9]{1,6}$/)
const separator = fc.constantFrom('.', '_', '__', '-', '--')
const component = fc.tuple(word, fc.array(fc.tuple(separator, word), { maxLength: 2 })).map((parts) => parts.flat(2).join(''))
const host = fc.constantFrom('docker.io/', 'localhost:5000/', 'r.example/', '10.0.0.1:5000/', '[::1]:80/')
const tag = fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/))
const digest = fc.option(fc.constant(`sha256:${hex}`))

test('every name that the grammar makes is read, and written back in full it is the same image', () => {
  fc.assert(
    fc.property(host, fc.array(component, { minLength: 1, maxLength: 4 }), tag, digest, (host, path, tag, digest) => {
      const reference = parseReference(`${host}${path.join('/')}${tag ? `:${tag}` : ''}${digest ? `@${digest}` : ''}`)
      assert.ok(reference.kind === 'registry')
      assert.equal(reference.digest, digest ?? undefined)
      assert.ok(reference.repository.endsWith(path.slice(1).join('/')))
      assert.deepEqual(parseReference(registryText(reference)), reference)
    }),
    { numRuns: 1000 },
  )
})

test('any text gives a reference whose parts are well-formed, or InvalidReference', () => {
  const letters = fc.constantFrom(...'abAB01.:/@-_[]% \\?#&=é')
  const text = fc.oneof(
    fc.string(),
    fc.string().map((rest) => `oci:/${rest}`),
    fc.string({ unit: 'binary' }),
    fc.string({ unit: letters, maxLength: 40 }),
  )
  fc.assert(
    fc.property(text, (text) => {
      try {
        const reference = parseReference(text)
        const { tag, digest } = reference
        if (reference.kind === 'registry') {
          // Nothing of it can change the meaning of a URL.
          assert.ok(URL.canParse(`https://${reference.host}/v2/`))
          assert.match(`${reference.repository}/${tag ?? ''}`, /^[\w./-]*$/)
          return !/(?:^|\/)\.{0,2}(?:\/|$)/.test(reference.repository) && tag !== '..' && tag !== '.'
        }
        return reference.path.startsWith('/') && !reference.path.includes(':') && (tag === undefined || digest === undefined)
      } catch (error) {
        return error instanceof InvalidReference
      }
    }),
    { numRuns: 5000 },
  )
})
