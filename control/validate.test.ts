import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { limitRules, resolveLimits } from '../proto/limits.js'
import { caisson } from '../proto/messages.js'
import { invalidFields } from '../proto/reason.js'
import { validateSubmit } from './validate.js'

const good: caisson.v1.IRunSpec = { image: 'oci:/images/a:latest', args: ['true'] }
const fields = (spec: caisson.v1.IRunSpec, idempotencyKey = '') =>
  validateSubmit({ spec: { ...good, ...spec }, idempotencyKey }).map(({ field }) => field)

const many = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i))
const map = (count: number, value: string) => Object.fromEntries(many(count, (i) => [`k${i}`, value]))

const accepted: Record<string, caisson.v1.IRunSpec> = {
  'nothing but an image': { args: [] },
  'an empty entrypoint beside args': { entrypoint: { words: [] } },
  'the most words': { args: many(4096, () => 'x') },
  'a word as long as the kernel takes': { args: ['x'.repeat(131_071)] },
  'the most env': { env: map(4096, 'v') },
  'an empty value': { env: { A: '' } },
  'any text': { env: { ü: '☃' }, args: ['\n\t\x7f☃'] },
  'the root': { cwd: '/' },
  'a numeric user and group': { user: '1000:1000' },
  'names of a user and group': { user: 'www-data:www-data' },
  'the most labels': { labels: map(64, 'x'.repeat(255)) },
  'the most stdin': { stdinInline: Buffer.alloc(1 << 20) },
  'attached stdin': { stdinAttach: true },
  'no output at all': { limits: { outputBytes: 0 } },
  'an image in a registry': { image: 'alpine', pull: caisson.v1.Pull.NEVER },
  'the last priority': { priority: 1_000_000 },
}

const refused: [string, caisson.v1.IRunSpec, string][] = [
  ['no image', { image: '' }, 'spec.image'],
  ['an image without a kind', { image: '/images/a' }, 'spec.image'],
  ['a pull of a file', { pull: caisson.v1.Pull.ALWAYS }, 'spec.pull'],
  ['a pull that is none', { image: 'alpine', pull: 9 as caisson.v1.Pull }, 'spec.pull'],
  ['a relative image', { image: 'oci:images/a' }, 'spec.image'],
  ['a long image', { image: `oci:/${'a'.repeat(4096)}` }, 'spec.image'],
  ['NUL in an image', { image: 'oci:/a\0b' }, 'spec.image'],
  ['too many words', { args: many(4097, () => 'x') }, 'spec.args'],
  ['too many words with entrypoint', { args: many(4096, () => 'x'), entrypoint: { words: ['x'] } }, 'spec.args'],
  ['no word at all', { args: [], entrypoint: { words: [] } }, 'spec.args'],
  ['NUL in a word', { args: ['a', 'b\0c'] }, 'spec.args[1]'],
  ['NUL in an entrypoint', { entrypoint: { words: ['\0'] } }, 'spec.entrypoint.words[0]'],
  ['a word longer than the kernel takes', { args: ['x'.repeat(131_072)] }, 'spec.args[0]'],
  ['2 MiB of env', { env: map(16, 'x'.repeat(130_000)) }, 'spec.env'],
  ['2 MiB of small env', { env: map(4096, 'x'.repeat(512)) }, 'spec.env'],
  ['2 MiB of words', { args: many(16, () => 'x'.repeat(130_000)) }, 'spec.args'],
  ['too many variables', { env: map(4097, '') }, 'spec.env'],
  ['a name with =', { env: { 'A=B': '' } }, 'spec.env["A=B"]'],
  ['an empty name', { env: { '': 'x' } }, 'spec.env[""]'],
  ['NUL in a name', { env: { 'A\0': 'x' } }, 'spec.env["A\\u0000"]'],
  ['NUL in a value', { env: { A: '\0' } }, 'spec.env["A"]'],
  ['a relative cwd', { cwd: 'tmp' }, 'spec.cwd'],
  ['NUL in cwd', { cwd: '/a\0' }, 'spec.cwd'],
  ['a long cwd', { cwd: `/${'a'.repeat(4095)}` }, 'spec.cwd'],
  ['a user with a space', { user: 'a b' }, 'spec.user'],
  ['a user with two groups', { user: 'a:b:c' }, 'spec.user'],
  ['a group alone', { user: ':b' }, 'spec.user'],
  ['a user with an empty group', { user: 'a:' }, 'spec.user'],
  ['NUL in a user', { user: 'a\0' }, 'spec.user'],
  ['a user with a newline', { user: 'root\n' }, 'spec.user'],
  ['user -1', { user: '4294967295' }, 'spec.user'],
  ['too many labels', { labels: map(65, '') }, 'spec.labels'],
  ['a bad label', { labels: { 'a b': '' } }, 'spec.labels["a b"]'],
  ['an empty label', { labels: { '': '' } }, 'spec.labels[""]'],
  ['a long label', { labels: { ['x'.repeat(64)]: '' } }, `spec.labels["${'x'.repeat(64)}"]`],
  ['a long label value', { labels: { a: 'ü'.repeat(128) } }, 'spec.labels["a"]'],
  ['too much stdin', { stdinInline: Buffer.alloc((1 << 20) + 1) }, 'spec.stdin_inline'],
  ['an unknown isolation', { isolation: 9 as caisson.v1.Isolation }, 'spec.isolation'],
  ['a negative priority', { priority: -1 }, 'spec.priority'],
  ['a large priority', { priority: 1_000_001 }, 'spec.priority'],
  ['a deadline of zero', { startWithinMs: 0 }, 'spec.start_within_ms'],
  ['a deadline beyond a week', { startWithinMs: 604_800_001 }, 'spec.start_within_ms'],
  ['no retention', { retentionMs: 999 }, 'spec.retention_ms'],
  ['endless retention', { retentionMs: 2_592_000_001 }, 'spec.retention_ms'],
]

describe('validateSubmit', () => {
  for (const [name, spec] of Object.entries(accepted)) test(`takes ${name}`, () => assert.deepEqual(fields(spec), []))
  for (const [name, spec, field] of refused) {
    test(`refuses ${name}`, () => assert.deepEqual([...new Set(fields(spec))], [field]))
  }

  for (const { name, field, least, most } of limitRules) {
    test(`${field}: ${least} to ${most}`, () => {
      for (const value of [least, most]) assert.deepEqual(fields({ limits: { [name]: value } }), [])
      for (const value of [least - 1, most + 1, -1, -(2 ** 63), 2 ** 63]) {
        assert.deepEqual(fields({ limits: { [name]: value } }), [field])
      }
    })
  }

  test('idempotency keys', () => {
    for (const key of ['', 'a', 'A.b_c:d-9', 'x'.repeat(128)]) assert.deepEqual(fields({}, key), [])
    for (const key of [' ', 'x'.repeat(129), 'a/b', 'ü', 'a\n']) assert.deepEqual(fields({}, key), ['idempotency_key'])
  })

  const secret = 'hush-4711'
  const refusedCredentials: [string, caisson.v1.IRegistryCredential, string, string?][] = [
    ['of a file', { username: 'u', password: secret }, 'registry_credential', 'oci:/images/a'],
    ['without a secret', { username: 'u' }, 'registry_credential'],
    ['with an empty secret', { username: 'u', password: '' }, 'registry_credential'],
    ['without a name', { password: secret }, 'registry_credential.username'],
    ['with a colon in its name', { username: `u:${secret}`, password: secret }, 'registry_credential.username'],
    ['with a long name', { username: 'u'.repeat(257), password: secret }, 'registry_credential.username'],
    ['with a line break', { username: 'u', password: `${secret}\n` }, 'registry_credential'],
    ['too long', { username: 'u', password: secret.repeat(2000) }, 'registry_credential'],
    ['with a name beside a token', { username: 'u', identityToken: secret }, 'registry_credential.username'],
  ]
  for (const [name, registryCredential, field, image = 'alpine'] of refusedCredentials) {
    test(`a credential ${name}`, () => {
      const violations = validateSubmit({ spec: { image }, registryCredential })
      assert.deepEqual([...new Set(violations.map(({ field }) => field))], [field])
      assert.doesNotMatch(JSON.stringify(violations), /hush/)
    })
  }
  test('a credential that is right', () => {
    for (const registryCredential of [{ username: 'u', password: secret }, { identityToken: secret }])
      assert.deepEqual(validateSubmit({ spec: { image: 'alpine' }, registryCredential }), [])
  })

  test('no spec', () => assert.deepEqual(validateSubmit({}), [{ field: 'spec', description: 'is missing' }]))

  test('whatever comes over the wire is taken or refused, never thrown at, and the refusal fits into trailers', () => {
    const word = fc.string({ unit: 'binary', maxLength: 40 })
    const number = fc.oneof(fc.integer(), fc.double({ noNaN: true }).map(Math.trunc), fc.maxSafeInteger())
    const limits = fc.record(Object.fromEntries(limitRules.map(({ name }) => [name, number])), { requiredKeys: [] })
    const spec = fc.record(
      {
        image: word,
        args: fc.array(word),
        entrypoint: fc.record({ words: fc.array(word) }),
        env: fc.dictionary(word, word),
        cwd: word,
        user: word,
        labels: fc.dictionary(word, word, { maxKeys: 80 }),
        stdinInline: fc.uint8Array(),
        limits,
        isolation: fc.integer() as fc.Arbitrary<caisson.v1.Isolation>,
        priority: fc.integer(),
        startWithinMs: number,
        retentionMs: number,
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(spec, word, (spec, idempotencyKey) => {
        const violations = validateSubmit(
          caisson.v1.SubmitRequest.decode(caisson.v1.SubmitRequest.encode({ spec, idempotencyKey }).finish()),
        )
        const { message, violations: told } = invalidFields(violations)
        assert.ok(Buffer.byteLength(message) + Buffer.byteLength(JSON.stringify(told)) < 6_000)
      }),
      { numRuns: 200 },
    )
  })
})

describe('resolveLimits', () => {
  test('defaults', () => {
    assert.deepEqual(resolveLimits({}, {}), {
      cpuMillis: 1_000,
      memoryBytes: 256 << 20,
      pids: 128,
      diskBytes: 1 << 30,
      outputBytes: 16 << 20,
      wallMs: 60_000,
      cpuMs: 60_000,
      openFiles: 1_024,
      diskBytesPerSecond: 2 ** 50,
    })
  })

  test('cpu time follows from wall time and rate', () => {
    assert.equal(resolveLimits({ wallMs: 1_000, cpuMillis: 2_500 }, {}).cpuMs, 2_500)
    assert.equal(resolveLimits({ wallMs: 1, cpuMillis: 10 }, {}).cpuMs, 1)
    assert.equal(resolveLimits({ wallMs: 604_800_000, cpuMillis: 8_000 }, {}).cpuMs, 604_800_000)
    assert.equal(resolveLimits({ cpuMs: 5 }, {}).cpuMs, 5)
  })

  test('a maximum lowers a default, and what is asked for stays', () => {
    assert.equal(resolveLimits({}, { memoryBytes: 64 << 20 }).memoryBytes, 64 << 20)
    assert.equal(resolveLimits({ outputBytes: 0 }, {}).outputBytes, 0)
  })

  test('everything is set, within its range', () => {
    const some = fc.record(
      Object.fromEntries(
        limitRules.map(({ name, least, most }) => [
          name,
          fc.maxSafeInteger().map((value) => least + (Math.abs(value) % (most - least + 1))),
        ]),
      ),
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(some, some, (asked, maxima) => {
        const all = resolveLimits(asked, maxima)
        for (const { name, least, most } of limitRules) assert.ok(all[name] >= least && all[name] <= most, name)
      }),
    )
  })
})
