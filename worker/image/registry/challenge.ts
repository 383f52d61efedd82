// WWW-Authenticate, RFC 9110 section 11.6.1: challenges, each a scheme and parameters. Strict: a header that is not exactly that is refused as
// a whole, for two readers of a sloppy one may see two different realms.

export interface Challenge {
  /** Lower case. */
  scheme: string
  /** Names in lower case. */
  parameters: ReadonlyMap<string, string>
}

const maxLength = 8192
const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const name = new RegExp(token, 'y')
const quoted = /"((?:[^"\\]|\\.)*)"/y
const space = / */y
const token68 = /[A-Za-z0-9._~+/-]+=*(?= *(?:,|$))/y

/** Undefined: not to be understood. */
export function parseChallenges(header: string): Challenge[] | undefined {
  if (header.length > maxLength || /\p{Cc}/u.test(header)) return undefined
  const reader = new Reader(header)
  const challenges: Challenge[] = []
  do {
    reader.skip()
    if (reader.at(',') || reader.ended) continue
    const challenge = readChallenge(reader)
    if (!challenge) return undefined
    challenges.push(challenge)
  } while (reader.take(','))
  return reader.ended && challenges.length > 0 ? challenges : undefined
}

function readChallenge(reader: Reader): Challenge | undefined {
  const scheme = reader.match(name)
  if (scheme === undefined) return undefined
  const parameters = new Map<string, string>()
  const challenge = { scheme: scheme.toLowerCase(), parameters }
  if (!reader.skip()) return challenge
  // An opaque value, such as Negotiate's; parameters would have a "=" and a value.
  if (reader.match(token68) !== undefined) return reader.skipped(challenge)
  for (;;) {
    const start = reader.position
    const parameter = readParameter(reader)
    if (parameter === 'broken') return undefined
    if (parameter === 'none') {
      reader.position = start
      return challenge
    }
    if (parameters.has(parameter.name)) return undefined
    parameters.set(parameter.name, parameter.value)
    reader.skip()
    const comma = reader.position
    if (!reader.take(',')) return challenge
    reader.skip()
    if (!reader.startsParameter()) {
      reader.position = comma
      return challenge
    }
  }
}

function readParameter(reader: Reader): { name: string; value: string } | 'none' | 'broken' {
  const key = reader.match(name)
  if (key === undefined) return 'none'
  reader.skip()
  if (!reader.take('=')) return 'none'
  reader.skip()
  const value = reader.quoted() ?? reader.match(name)
  return value === undefined ? 'broken' : { name: key.toLowerCase(), value }
}

class Reader {
  position = 0

  constructor(readonly text: string) {}

  get ended(): boolean {
    return this.position === this.text.length
  }

  at(character: string): boolean {
    return this.text[this.position] === character
  }

  take(character: string): boolean {
    if (!this.at(character)) return false
    this.position++
    return true
  }

  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.position
    const found = pattern.exec(this.text)?.[0]
    if (found !== undefined) this.position += found.length
    return found
  }

  quoted(): string | undefined {
    const found = this.match(quoted)
    return found?.slice(1, -1).replace(/\\(.)/g, '$1')
  }

  /** False: there was no space. */
  skip(): boolean {
    return (this.match(space) ?? '') !== ''
  }

  skipped<T>(value: T): T {
    this.skip()
    return value
  }

  startsParameter(): boolean {
    const start = this.position
    const key = this.match(name)
    this.skip()
    const isOne = key !== undefined && this.at('=')
    this.position = start
    return isOne
  }
}
