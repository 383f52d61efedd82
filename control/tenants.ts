// Who may call: the token file, a line for each token. Which tenant a call is of decides what may be granted to its runs.
import { createHash } from 'node:crypto'
import type { Metadata } from '@grpc/grpc-js'
import { isGrantable } from '../proto/capabilities.js'

export interface Tenant {
  name: string
  /** Capabilities that its runs may ask for. */
  capabilities: ReadonlySet<string>
}

/** Of a service without tokens, whoever reaches it. */
export const anybody: Tenant = { name: 'anybody', capabilities: new Set() }

const tokenPattern = /^[\x21-\x7e]{16,4096}$/
const namePattern = /^[a-z0-9][a-z0-9._-]{0,62}$/
/** Of a line that is a token and nothing else. */
const defaultName = 'default'

export class TokenFileError extends Error {
  override readonly name = 'TokenFileError'
}

export class Tenants {
  /** By the digest of a token: how long finding one takes tells nothing about the tokens. */
  readonly #byToken: ReadonlyMap<string, Tenant>

  private constructor(byToken: Map<string, Tenant>) {
    this.#byToken = byToken
  }

  /** TOKEN [TENANT [CAPABILITY …]] on each line; empty lines and those that begin with "# " are passed over. Throws TokenFileError. */
  static parse(text: string): Tenants {
    const byToken = new Map<string, Tenant>()
    for (const [index, line] of text.split('\n').entries()) {
      const [token, name = defaultName, ...capabilities] = line.split(/\s+/).filter((word) => word !== '')
      if (token === undefined || token === '#') continue
      const wrong =
        faultOf(token, name, capabilities) ?? (byToken.has(digest(token)) ? 'has the token of a line before' : undefined)
      if (wrong !== undefined) throw new TokenFileError(`line ${index + 1} ${wrong}`)
      byToken.set(digest(token), { name, capabilities: new Set(capabilities) })
    }
    if (byToken.size === 0) throw new TokenFileError('holds no token')
    return new Tenants(byToken)
  }

  /** Undefined: the call carries no token, or none of these. */
  of(metadata: Metadata): Tenant | undefined {
    const given = metadata.get('authorization')
    const [, token] = given.length === 1 ? (/^Bearer (.*)$/s.exec(String(given[0])) ?? []) : []
    return token === undefined ? undefined : this.#byToken.get(digest(token))
  }
}

/** Tokens are not repeated in messages. */
function faultOf(token: string, name: string, capabilities: string[]): string | undefined {
  if (!tokenPattern.test(token)) return 'must begin with a token of 16 to 4,096 printable characters'
  if (!namePattern.test(name)) return 'must name its tenant by 1 to 63 characters of [a-z0-9._-]'
  const strange = capabilities.find((capability) => !isGrantable(capability))
  return strange && `grants ${strange.slice(0, 64)}, which no run can have`
}

const digest = (text: string): string => createHash('sha256').update(text).digest('base64')
