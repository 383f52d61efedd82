// A client's seccomp profile: the JSON of linux.seccomp in OCI's runtime specification, read strictly into what the agent is told. Pure.
import { caisson } from './messages.js'
import { callNumber, isCallName } from './syscalls.js'

const { Action, Comparison } = caisson.agent.v1

export const mostProfileBytes = 64 << 10
const mostRules = 512
/** Of every name of a rule each condition: a filter in the kernel has 4,096 instructions, and each of these takes up to six. */
const mostConditions = 256
/** The kernel's MAX_ERRNO. */
const mostErrno = 4_095
const mostArguments = 6
/** More would only be cut off on their way. */
const mostFaults = 10

const actions = new Map<unknown, caisson.agent.v1.Action>([
  ['SCMP_ACT_ALLOW', Action.ALLOW],
  ['SCMP_ACT_ERRNO', Action.ERRNO],
  ['SCMP_ACT_TRAP', Action.TRAP],
  ['SCMP_ACT_KILL', Action.KILL_THREAD],
  ['SCMP_ACT_KILL_THREAD', Action.KILL_THREAD],
  ['SCMP_ACT_KILL_PROCESS', Action.KILL_PROCESS],
])
const senseless = new Map<unknown, string>([
  ['SCMP_ACT_NOTIFY', 'asks a supervisor, and a run has none'],
  ['SCMP_ACT_TRACE', 'asks a tracer, and a run has none'],
  ['SCMP_ACT_LOG', "writes to the host's log, which is not the client's"],
])
const comparisons = new Map<unknown, caisson.agent.v1.Comparison>([
  ['SCMP_CMP_NE', Comparison.NOT_EQUAL],
  ['SCMP_CMP_LT', Comparison.LESS],
  ['SCMP_CMP_LE', Comparison.AT_MOST],
  ['SCMP_CMP_EQ', Comparison.EQUAL],
  ['SCMP_CMP_GE', Comparison.AT_LEAST],
  ['SCMP_CMP_GT', Comparison.GREATER],
  ['SCMP_CMP_MASKED_EQ', Comparison.MASKED_EQUAL],
])
const architecture =
  /^SCMP_ARCH_(X86|X86_64|X32|ARM|AARCH64|MIPS(64)?(N32)?|MIPSEL(64)?(N32)?|PPC(64)?(LE)?|S390X?|PARISC(64)?|RISCV64|LOONGARCH64|M68K|SHE?B?|NATIVE)$/

export interface Fault {
  /** From the profile on: "", or ".syscalls[3].args[0].op". */
  path: string
  description: string
}

export class InvalidProfile extends Error {
  override readonly name = 'InvalidProfile'

  constructor(readonly faults: Fault[]) {
    super(faults.map(({ path, description }) => `${path} ${description}`).join('; '))
  }
}

/** Throws InvalidProfile. */
export function parseProfile(text: string): caisson.agent.v1.IFilter {
  const length = Buffer.byteLength(text)
  if (length > mostProfileBytes) throw fault('', `is ${length} bytes, must be at most ${mostProfileBytes}`)
  const reader = new Reader()
  const filter = reader.profile(parseJson(text))
  if (reader.faults.length === 0 && !lets(filter, 'execve')) {
    reader.fault('', 'must allow execve without conditions: it is how the program starts')
  }
  if (reader.faults.length > 0) throw new InvalidProfile(reader.faults.slice(0, mostFaults))
  return filter
}

const fault = (path: string, description: string) => new InvalidProfile([{ path, description }])

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw fault('', 'is not JSON')
  }
}

function lets({ otherwise, rules }: caisson.agent.v1.IFilter, name: string): boolean {
  const about = (rules ?? []).filter(({ calls }) => calls?.includes(callNumber(name) ?? -1))
  if (about.some(({ answer }) => answer?.action !== Action.ALLOW)) return false
  return otherwise?.action === Action.ALLOW || about.some(({ conditions }) => conditions?.length === 0)
}

type Fields = Record<string, unknown>

/** Goes on behind a fault, to tell of others too. */
class Reader {
  readonly faults: Fault[] = []
  #conditions = 0

  fault(path: string, description: string): void {
    this.faults.push({ path, description })
  }

  profile(value: unknown): caisson.agent.v1.IFilter {
    const fields = this.#object('', value, ['defaultAction', 'defaultErrnoRet', 'architectures', 'flags', 'syscalls'])
    for (const [i, name] of this.#list('.architectures', fields['architectures'], mostRules).entries()) {
      if (typeof name !== 'string' || !architecture.test(name)) this.fault(`.architectures[${i}]`, 'is no architecture')
    }
    if (this.#list('.flags', fields['flags'], mostRules).length > 0)
      this.fault('.flags', 'must be empty: a run has no choice of them')
    const otherwise = this.#answer('.defaultAction', fields['defaultAction'], '.defaultErrnoRet', fields['defaultErrnoRet'])
    const rules = this.#list('.syscalls', fields['syscalls'], mostRules).map((rule, i) => this.#rule(`.syscalls[${i}]`, rule))
    if (this.#conditions > mostConditions) {
      this.fault('.syscalls', `has ${this.#conditions} conditions (of each name each), must be at most ${mostConditions}`)
    }
    return { otherwise, rules: rules.filter(({ calls }) => calls.length > 0) }
  }

  #rule(path: string, value: unknown) {
    const fields = this.#object(path, value, ['names', 'action', 'errnoRet', 'args'])
    const names = this.#list(`${path}.names`, fields['names'], mostProfileBytes)
    if (names.length === 0) this.fault(`${path}.names`, 'is empty')
    const calls = names.flatMap((name, i) => this.#call(`${path}.names[${i}]`, name))
    const answer = this.#answer(`${path}.action`, fields['action'], `${path}.errnoRet`, fields['errnoRet'])
    const args = this.#list(`${path}.args`, fields['args'], mostArguments)
    const conditions = args.map((argument, i) => this.#condition(`${path}.args[${i}]`, argument))
    if (new Set(conditions.map(({ argument }) => argument)).size < conditions.length) {
      this.fault(
        `${path}.args`,
        'names an argument twice: all of them must hold together; what is to hold by itself is an entry of its own',
      )
    }
    this.#conditions += calls.length * conditions.length
    return { calls: [...new Set(calls)], answer, conditions }
  }

  /** None where the call is of another architecture, whose programs are killed anyway. */
  #call(path: string, name: unknown): number[] {
    if (typeof name !== 'string' || !isCallName(name)) {
      this.fault(path, `is ${shown(name)}, which is the name of no system call`)
      return []
    }
    const number = callNumber(name)
    return number === undefined ? [] : [number]
  }

  #answer(path: string, name: unknown, errnoPath: string, errno: unknown): caisson.agent.v1.IAnswer {
    const action = actions.get(name)
    if (action === undefined) {
      const why = senseless.get(name) ?? `is none of ${[...actions.keys()].join(', ')}`
      this.fault(path, name === undefined ? 'is missing' : `is ${shown(name)}, which ${why}`)
    }
    if (errno === undefined || errno === null)
      return { action: action ?? Action.ALLOW, ...(action === Action.ERRNO && { errno: 1 }) }
    if (action !== Action.ERRNO) this.fault(errnoPath, 'goes with SCMP_ACT_ERRNO only')
    return { action: action ?? Action.ALLOW, errno: this.#number(errnoPath, errno, mostErrno) }
  }

  #condition(path: string, value: unknown) {
    const fields = this.#object(path, value, ['index', 'value', 'valueTwo', 'op'])
    const comparison = comparisons.get(fields['op'])
    if (comparison === undefined)
      this.fault(`${path}.op`, `is ${shown(fields['op'])}, which is none of ${[...comparisons.keys()].join(', ')}`)
    const masked = comparison === Comparison.MASKED_EQUAL
    const first = this.#number(`${path}.value`, fields['value'], Number.MAX_SAFE_INTEGER)
    const second = this.#number(`${path}.valueTwo`, fields['valueTwo'] ?? 0, Number.MAX_SAFE_INTEGER)
    if (masked && (BigInt(second) & ~BigInt(first)) !== 0n) {
      this.fault(`${path}.valueTwo`, 'has bits that value, the mask, has not: it would equal nothing')
    }
    return {
      argument: this.#number(`${path}.index`, fields['index'], mostArguments - 1),
      comparison: comparison ?? Comparison.EQUAL,
      value: masked ? second : first,
      ...(masked && { mask: first }),
    }
  }

  #object(path: string, value: unknown, known: string[]): Fields {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.fault(path, 'must be an object')
      return {}
    }
    for (const name of Object.keys(value)) {
      if (!known.includes(name)) this.fault(path, `has the field ${shown(name)}: known are ${known.join(', ')}`)
    }
    return value as Fields
  }

  #list(path: string, value: unknown, most: number): unknown[] {
    if (value === undefined || value === null) return []
    if (!Array.isArray(value)) {
      this.fault(path, 'must be a list')
      return []
    }
    if (value.length <= most) return value
    this.fault(path, `has ${value.length} entries, must be at most ${most}`)
    return []
  }

  #number(path: string, value: unknown, most: number): number {
    if (Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= most) return Number(value)
    this.fault(path, `must be a whole number from 0 to ${most}`)
    return 0
  }
}

/** The client's own words, printable and cut. */
function shown(value: unknown): string {
  const printable = JSON.stringify(value) ?? 'missing'
  return printable.length > 44 ? `${printable.slice(0, 40)}...` : printable
}
