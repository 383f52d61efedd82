// A submit that is wrong in itself, wherever it would run: every field at fault, with its limit. Pure.
import { grantableNames, isGrantable } from '../proto/capabilities.js'
import { limitRules } from '../proto/limits.js'
import { caisson } from '../proto/messages.js'
import type { Violation } from '../proto/reason.js'
import { InvalidProfile, parseProfile } from '../proto/seccomp.js'
import { validateCredential, validateImage, validatePull } from './validateImage.js'
import { bytes, number, range, violation, when } from './violations.js'

const mostWords = 4_096
const mostVariables = 4_096
/** Of args, entrypoint and env together, each with the byte that ends it. */
const mostCommandBytes = 1 << 20
/** The kernel's MAX_ARG_STRLEN, less the byte that ends it. */
const mostWordBytes = 131_071
const mostStdinBytes = 1 << 20
const mostPathBytes = 4_095
const mostLabels = 64
const mostLabelBytes = 255
const labelKey = /^[A-Za-z0-9._/-]{1,63}$/
const userName = /^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,63}(:[A-Za-z0-9_.][A-Za-z0-9_.-]{0,63})?$/
const mostId = 2 ** 32 - 2
const keyPattern = /^[A-Za-z0-9._:-]{1,128}$/

const mostPriority = 1_000_000
const startWithin = { least: 1, most: 604_800_000 }
export const retention = { least: 1_000, most: 2_592_000_000, fallback: 86_400_000 }

export function validateSubmit({ spec, idempotencyKey, registryCredential }: caisson.v1.ISubmitRequest): Violation[] {
  if (!spec) return [violation('spec', 'is missing')]
  return [
    ...validateImage('spec.image', spec.image ?? ''),
    ...validatePull('spec.pull', spec.pull ?? 0, spec.image ?? ''),
    ...validateCredential(registryCredential, spec.image ?? ''),
    ...command(spec),
    ...environment(spec.env ?? {}),
    ...workingDirectory(spec.cwd ?? ''),
    ...user(spec.user ?? ''),
    ...validateLabels('spec.labels', spec.labels ?? {}),
    ...stdin(spec),
    ...limits(spec.limits ?? {}),
    ...isolation(spec.isolation ?? 0),
    ...range('spec.priority', spec.priority ?? 0, 0, mostPriority),
    ...range('spec.start_within_ms', spec.startWithinMs, startWithin.least, startWithin.most),
    ...range('spec.retention_ms', spec.retentionMs, retention.least, retention.most),
    ...seccomp(spec.seccomp ?? ''),
    ...capabilities(spec.capabilities ?? []),
    ...key(idempotencyKey ?? ''),
  ]
}

const hasNul = (text: string) => text.includes('\0')

function command(spec: caisson.v1.IRunSpec): Violation[] {
  const args = spec.args ?? []
  const entrypoint = spec.entrypoint?.words ?? []
  const count = args.length + entrypoint.length
  if (count > mostWords) {
    return [violation('spec.args', `has ${number(count)} words with entrypoint, must be at most ${number(mostWords)}`)]
  }
  const wordBytes = size(args) + size(entrypoint)
  const envBytes = size(Object.entries(spec.env ?? {}).map(([name, value]) => `${name}=${value}`))
  return [
    ...words('spec.args', args),
    ...words('spec.entrypoint.words', entrypoint),
    ...when(
      wordBytes + envBytes > mostCommandBytes,
      envBytes > wordBytes ? 'spec.env' : 'spec.args',
      () =>
        `is too long: args, entrypoint and env are ${number(wordBytes + envBytes)} bytes together, must be at most ${number(mostCommandBytes)}`,
    ),
    // An entrypoint that is set replaces the image's command altogether, so nothing else could name one.
    ...when(spec.entrypoint != null && count === 0, 'spec.args', 'is empty, and so is entrypoint: at least one word is needed'),
  ]
}

const size = (texts: string[]) => texts.reduce((sum, text) => sum + bytes(text) + 1, 0)

function words(field: string, texts: string[]): Violation[] {
  return texts.flatMap((text, i) => [
    ...when(hasNul(text), `${field}[${i}]`, 'holds a NUL byte'),
    ...when(
      bytes(text) > mostWordBytes,
      `${field}[${i}]`,
      () => `is ${number(bytes(text))} bytes, must be at most ${number(mostWordBytes)}`,
    ),
  ])
}

function environment(env: Record<string, string>): Violation[] {
  const variables = Object.entries(env)
  if (variables.length > mostVariables) {
    return [violation('spec.env', `has ${number(variables.length)} variables, must be at most ${number(mostVariables)}`)]
  }
  return variables.flatMap(([name, value]) => {
    const field = `spec.env[${quote(name)}]`
    return [
      ...when(name === '', field, 'has no name'),
      ...when(name.includes('='), field, 'has a name with "="'),
      ...when(hasNul(name) || hasNul(value), field, 'holds a NUL byte'),
      ...when(
        bytes(name) + bytes(value) + 1 > mostWordBytes,
        field,
        () => `is ${number(bytes(name) + bytes(value) + 1)} bytes, must be at most ${number(mostWordBytes)}`,
      ),
    ]
  })
}

function workingDirectory(cwd: string): Violation[] {
  if (cwd === '') return []
  return [
    ...when(!cwd.startsWith('/'), 'spec.cwd', 'must be absolute'),
    ...when(hasNul(cwd), 'spec.cwd', 'holds a NUL byte'),
    ...when(
      bytes(cwd) > mostPathBytes,
      'spec.cwd',
      () => `is ${number(bytes(cwd))} bytes, must be at most ${number(mostPathBytes)}`,
    ),
  ]
}

function user(text: string): Violation[] {
  if (text === '') return []
  if (!userName.test(text)) {
    return [
      violation('spec.user', 'must be USER or USER:GROUP, each a number or a name of at most 64 characters of [A-Za-z0-9_.-]'),
    ]
  }
  const large = text.split(':').some((part) => /^\d+$/.test(part) && Number(part) > mostId)
  return when(large, 'spec.user', () => `has a number above ${number(mostId)}`)
}

export function validateLabels(field: string, map: Record<string, string>): Violation[] {
  const entries = Object.entries(map)
  if (entries.length > mostLabels) {
    return [violation(field, `has ${number(entries.length)} labels, must be at most ${mostLabels}`)]
  }
  return entries.flatMap(([name, value]) => {
    const one = `${field}[${quote(name)}]`
    return [
      ...when(!labelKey.test(name), one, 'has a bad key: must be 1 to 63 characters of [A-Za-z0-9._/-]'),
      ...when(
        bytes(value) > mostLabelBytes,
        one,
        () => `has a value of ${number(bytes(value))} bytes, must be at most ${mostLabelBytes}`,
      ),
    ]
  })
}

function stdin({ stdinInline }: caisson.v1.IRunSpec): Violation[] {
  const length = stdinInline?.length ?? 0
  return when(
    length > mostStdinBytes,
    'spec.stdin_inline',
    () => `is ${number(length)} bytes, must be at most ${number(mostStdinBytes)}`,
  )
}

function limits(asked: caisson.v1.ILimits): Violation[] {
  return limitRules.flatMap(({ name, field, least, most }) => range(field, asked[name], least, most))
}

function isolation(value: number): Violation[] {
  return when(!(value in caisson.v1.Isolation), 'spec.isolation', () => `is ${value}, which is none of the values of Isolation`)
}

function seccomp(profile: string): Violation[] {
  if (profile === '') return []
  try {
    parseProfile(profile)
    return []
  } catch (error) {
    if (!(error instanceof InvalidProfile)) throw error
    return error.faults.map(({ path, description }) => violation(`spec.seccomp${path}`, description))
  }
}

function capabilities(names: string[]): Violation[] {
  const most = grantableNames.length
  if (names.length > most) {
    return [violation('spec.capabilities', `has ${number(names.length)} names, must be at most ${most}: each once`)]
  }
  return names.flatMap((name, i) => [
    ...when(
      !isGrantable(name),
      `spec.capabilities[${i}]`,
      () => `is ${quote(name)}, which is none of ${grantableNames.join(', ')}`,
    ),
    ...when(names.indexOf(name) < i, `spec.capabilities[${i}]`, 'comes twice'),
  ])
}

function key(text: string): Violation[] {
  return when(text !== '' && !keyPattern.test(text), 'idempotency_key', 'must be 1 to 128 characters of [A-Za-z0-9._:-]')
}

/** A name as it can stand in a message: it is the client's own, so it is made printable and cut. */
function quote(text: string): string {
  const printable = JSON.stringify(text)
  return printable.length > 66 ? `${printable.slice(0, 62)}..."` : printable
}
