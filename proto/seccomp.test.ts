import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { caisson } from './messages.js'
import { InvalidProfile, mostProfileBytes, parseProfile } from './seccomp.js'

const { Action, Comparison, Filter } = caisson.agent.v1

const allowing = (...syscalls: unknown[]) => ({ defaultAction: 'SCMP_ACT_ALLOW', syscalls })
const entry = (names: unknown, action: unknown, more = {}) => ({ names, action, ...more })
const parse = (profile: unknown) => parseProfile(JSON.stringify(profile))

test('a profile becomes numbers', () => {
  const profile = {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 38,
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_ARM'],
    flags: [],
    syscalls: [
      entry(['execve', 'read', '_llseek', 'read'], 'SCMP_ACT_ALLOW'),
      entry(['socket'], 'SCMP_ACT_ERRNO', { errnoRet: 97, args: [{ index: 0, value: 2, op: 'SCMP_CMP_NE' }] }),
      entry(['clone'], 'SCMP_ACT_KILL', { args: [{ index: 0, value: 2114060288, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }] }),
      entry(['arm_fadvise64_64'], 'SCMP_ACT_TRAP'),
    ],
  }
  assert.deepEqual(parse(profile), {
    otherwise: { action: Action.ERRNO, errno: 38 },
    rules: [
      { calls: [59, 0], answer: { action: Action.ALLOW }, conditions: [] },
      {
        calls: [41],
        answer: { action: Action.ERRNO, errno: 97 },
        conditions: [{ argument: 0, comparison: Comparison.NOT_EQUAL, value: 2 }],
      },
      {
        calls: [56],
        answer: { action: Action.KILL_THREAD },
        conditions: [{ argument: 0, comparison: Comparison.MASKED_EQUAL, value: 0, mask: 2114060288 }],
      },
    ],
  })
})

test('an errno that is not named is EPERM', () => {
  const { rules } = parse(allowing(entry(['ptrace'], 'SCMP_ACT_ERRNO')))
  assert.deepEqual(rules?.[0]?.answer, { action: Action.ERRNO, errno: 1 })
})

const refusals: [name: string, profile: unknown, path: string, description: RegExp][] = [
  ['no object', [], '', /^must be an object$/],
  ['no action', {}, '.defaultAction', /^is missing$/],
  ['an unknown action', { defaultAction: 'ALLOW' }, '.defaultAction', /^is "ALLOW", which is none of SCMP_ACT_ALLOW, /],
  [
    'a supervisor',
    allowing(entry(['read'], 'SCMP_ACT_NOTIFY')),
    '.syscalls[0].action',
    /which asks a supervisor, and a run has none$/,
  ],
  ['a tracer', { defaultAction: 'SCMP_ACT_TRACE' }, '.defaultAction', /which asks a tracer/],
  ['a log', { defaultAction: 'SCMP_ACT_LOG' }, '.defaultAction', /which writes to the host's log/],
  [
    'an unknown call',
    allowing(entry(['read', 'raed'], 'SCMP_ACT_KILL')),
    '.syscalls[0].names[1]',
    /^is "raed", which is the name of no system call$/,
  ],
  ['a name of Object', allowing(entry(['constructor'], 'SCMP_ACT_KILL')), '.syscalls[0].names[0]', /the name of no system call$/],
  ['no names', allowing(entry([], 'SCMP_ACT_KILL')), '.syscalls[0].names', /^is empty$/],
  ['an unknown field', { ...allowing(), archMap: [] }, '', /^has the field "archMap": known are defaultAction, /],
  ['flags', { ...allowing(), flags: ['SECCOMP_FILTER_FLAG_SPEC_ALLOW'] }, '.flags', /^must be empty/],
  ['an architecture', { ...allowing(), architectures: ['x86_64'] }, '.architectures[0]', /^is no architecture$/],
  [
    'an errno without use',
    allowing(entry(['read'], 'SCMP_ACT_KILL', { errnoRet: 1 })),
    '.syscalls[0].errnoRet',
    /^goes with SCMP_ACT_ERRNO only$/,
  ],
  [
    'a large errno',
    { ...allowing(), defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 4096 },
    '.defaultErrnoRet',
    /^must be a whole number from 0 to 4095$/,
  ],
  [
    'too many entries',
    allowing(...Array(513).fill(entry(['read'], 'SCMP_ACT_KILL'))),
    '.syscalls',
    /^has 513 entries, must be at most 512$/,
  ],
  ['execve is denied', allowing(entry(['execve'], 'SCMP_ACT_ERRNO')), '', /^must allow execve without conditions/],
  ['execve is not allowed', { defaultAction: 'SCMP_ACT_KILL' }, '', /^must allow execve without conditions/],
]

for (const [name, profile, path, description] of refusals) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => parse(profile),
      (error) => {
        assert.ok(error instanceof InvalidProfile)
        const [first] = error.faults
        assert.equal(first?.path, path)
        assert.match(first.description, description)
        return true
      },
    )
  })
}

const argument = { index: 0, value: 1, op: 'SCMP_CMP_EQ' }
const badArguments: [path: string, args: unknown[]][] = [
  ['[0].index', [{ ...argument, index: 6 }]],
  ['[0].value', [{ ...argument, value: -1 }]],
  ['[0].value', [{ ...argument, value: 2 ** 53 }]],
  ['[0].op', [{ ...argument, op: 'EQ' }]],
  ['[0].valueTwo', [{ index: 0, value: 1, valueTwo: 2, op: 'SCMP_CMP_MASKED_EQ' }]],
  ['', [argument, argument]],
]

test('refused: what is wrong with a condition is told where it is', () => {
  for (const [path, args] of badArguments) {
    const profile = allowing(entry(['read'], 'SCMP_ACT_KILL', { args }))
    assert.throws(
      () => parse(profile),
      (error) => error instanceof InvalidProfile && error.faults[0]?.path === `.syscalls[0].args${path}`,
      path,
    )
  }
  const many = allowing(...Array(257).fill(entry(['read'], 'SCMP_ACT_KILL', { args: [argument] })))
  assert.throws(() => parse(many), /has 257 conditions \(of each name each\), must be at most 256/)
})

test('refused: what is no JSON, or too long, or too deep', () => {
  assert.throws(() => parseProfile('{'), /is not JSON/)
  assert.throws(() => parseProfile(' '.repeat(mostProfileBytes + 1)), /is 65537 bytes, must be at most 65536/)
  assert.throws(() => parseProfile('['.repeat(mostProfileBytes)), /is not JSON/)
  assert.throws(() => parseProfile('['.repeat(mostProfileBytes / 2) + ']'.repeat(mostProfileBytes / 2)), /must be an object/)
})

test('any JSON is refused, or becomes a filter that is shorter than its text', () => {
  const word = fc.constantFrom(
    'execve',
    'read',
    'raed',
    'SCMP_ACT_ALLOW',
    'SCMP_ACT_ERRNO',
    'SCMP_ACT_TRACE',
    'SCMP_CMP_EQ',
    '__proto__',
  )
  const number = fc.oneof(fc.nat(8), fc.integer(), fc.double())
  const args = fc.array(fc.record({ index: number, value: number, valueTwo: number, op: word }, { requiredKeys: [] }), {
    maxLength: 3,
  })
  const rule = fc.record({ names: fc.array(word), action: word, errnoRet: number, args }, { requiredKeys: [] })
  const profile = fc.record(
    {
      defaultAction: word,
      defaultErrnoRet: number,
      architectures: fc.array(word),
      syscalls: fc.array(fc.oneof(rule, fc.jsonValue())),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(
      fc.oneof(profile, fc.jsonValue()).map((value) => JSON.stringify(value)),
      (text) => {
        try {
          assert.ok(Filter.encode(parseProfile(text)).finish().length < text.length)
        } catch (error) {
          assert.ok(error instanceof InvalidProfile && error.faults.length > 0 && error.faults.length <= 10, String(error))
        }
      },
    ),
  )
})
