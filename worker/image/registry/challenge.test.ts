import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseChallenges } from './challenge.js'

const read = (header: string) =>
  parseChallenges(header)?.map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])

const good: [string, unknown][] = [
  ['Basic realm="x"', [['basic', { realm: 'x' }]]],
  ['BASIC', [['basic', {}]]],
  [
    'Bearer realm="https://a/t",service="s",scope="repository:a/b:pull"',
    [['bearer', { realm: 'https://a/t', service: 's', scope: 'repository:a/b:pull' }]],
  ],
  ['Bearer  realm = "a" ,  service=b', [['bearer', { realm: 'a', service: 'b' }]]],
  ['bearer realm="a, Basic realm=\\"b\\""', [['bearer', { realm: 'a, Basic realm="b"' }]]],
  [
    'Negotiate, Basic realm="x", Bearer realm="y",scope="z"',
    [
      ['negotiate', {}],
      ['basic', { realm: 'x' }],
      ['bearer', { realm: 'y', scope: 'z' }],
    ],
  ],
  [
    'Negotiate YWJj==, Basic',
    [
      ['negotiate', {}],
      ['basic', {}],
    ],
  ],
  [', Basic realm="x",', [['basic', { realm: 'x' }]]],
]
for (const [header, expected] of good) test(`reads ${header}`, () => assert.deepEqual(read(header), expected))

const bad = [
  '',
  ',',
  'Bearer realm="a',
  'Bearer realm="a" service="b"',
  'Bearer realm="a",realm="b"',
  'Bearer realm=a b',
  'Bearer realm="a"\n,service="b"',
  'Bearer realm="a\0"',
  'Bearer "a"',
  'Bearer realm="a",=b',
  '"Bearer" realm="a"',
  'Bearer realm=é',
  `Bearer realm="${'a'.repeat(9000)}"`,
]
for (const header of bad)
  test(`refuses ${JSON.stringify(header.slice(0, 40))}`, () => assert.equal(parseChallenges(header), undefined))

const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,8}$/)
const value = fc.string({ unit: fc.constantFrom(...'abc ,="\\:/'), maxLength: 12 })
const challenge = fc.tuple(
  token,
  fc.uniqueArray(fc.tuple(token, value), { selector: ([name]) => name.toLowerCase(), maxLength: 4 }),
)

test('what is written by the rules is read as it was meant', () => {
  const quote = (text: string) => `"${text.replace(/[\\"]/g, '\\$&')}"`
  fc.assert(
    fc.property(fc.array(challenge, { minLength: 1, maxLength: 4 }), (challenges) => {
      const texts = challenges.map(([scheme, parameters]) =>
        [scheme, parameters.map(([name, value]) => `${name}=${quote(value)}`).join(', ')].filter(Boolean).join(' '),
      )
      const expected = challenges.map(([scheme, parameters]) => [
        scheme.toLowerCase(),
        parameters.map(([name, value]) => [name.toLowerCase(), value]),
      ])
      const found = parseChallenges(texts.join(', '))?.map(({ scheme, parameters }) => [scheme, [...parameters]])
      assert.deepEqual(found, expected)
    }),
    { numRuns: 2000 },
  )
})

test('any header is read or refused, in no time', () => {
  const letters = fc.string({ unit: fc.constantFrom(...'aB=",\\ \t;/'), maxLength: 3000 })
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), letters, fc.constant(`a ${'"\\'.repeat(4000)}`), fc.constant('a='.repeat(4000))),
      (header) => {
        const start = process.cpuUsage()
        parseChallenges(header)
        assert.ok(process.cpuUsage(start).user < 200_000)
      },
    ),
    { numRuns: 2000 },
  )
})
