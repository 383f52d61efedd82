// From a registry's challenge to the Authorization header that it takes: basic, or a token of its token service.
import { Flights } from '../layers/flights.js'
import { type Challenge, parseChallenges } from './challenge.js'
import type { Credential } from './credential.js'
import { refuse } from './failures.js'
import type { Endpoint, RegistryOptions } from './options.js'
import { mayHaveCredentials } from './realm.js'
import { retrying } from './retry.js'
import { type Answer, dump, readBody, type Transport } from './transport.js'

/** To what, and as whom. */
export interface Access {
  endpoint: Endpoint
  repository: string
  credential: Credential | undefined
}

interface Token {
  header: string
  untilMs: number
}

const maxTokenBytes = 64 << 10
const maxTokens = 1000
/** What the specification says where a token does not. */
const defaultSeconds = 60
/** Of a token's life: what is left is for the request itself. */
const usedShare = 0.9

export class Tokens {
  readonly #tokens = new Map<string, Token>()
  readonly #flights = new Flights<Token>()

  constructor(readonly transport: Transport) {}

  /** Of an earlier challenge. */
  known(access: Access): string | undefined {
    const key = keyOf(access)
    const token = this.#tokens.get(key)
    if (!token) return undefined
    if (token.untilMs > Date.now()) return token.header
    this.#tokens.delete(key)
    return undefined
  }

  /** After a 401, for a request that showed `shown`. */
  async after(answer: Answer, access: Access, shown: string | undefined, signal: AbortSignal): Promise<string> {
    const key = keyOf(access)
    const other = this.known(access)
    if (other !== undefined && other !== shown) return other
    this.#tokens.delete(key)
    const challenge = choose(answer, access)
    if (challenge.scheme === 'basic') return this.#keep(key, basicOf(access, shown))
    const token = await this.#flights.join(key, signal, (signal) => this.#fetch(challenge, access, signal))
    return this.#keep(key, token)
  }

  #keep(key: string, token: Token): string {
    if (this.#tokens.size >= maxTokens) this.#tokens.delete(this.#tokens.keys().next().value as string)
    this.#tokens.set(key, token)
    return token.header
  }

  #fetch(challenge: Challenge, access: Access, signal: AbortSignal): Promise<Token> {
    const { patience } = this.transport.options
    const ask = () => this.#ask(challenge, access, AbortSignal.any([signal, AbortSignal.timeout(patience.answerMs)]))
    return retrying(patience, signal, ask)
  }

  async #ask({ parameters }: Challenge, access: Access, signal: AbortSignal): Promise<Token> {
    const { credential, endpoint } = access
    const realm = realmOf(parameters.get('realm'), endpoint, this.transport.options)
    if (credential && !mayHaveCredentials(realm, endpoint, this.transport.options)) {
      const flag = `--registry-realm ${endpoint.registry}=${realm.host}`
      throw refuse(
        'IMAGE_REGISTRY_DENIED',
        `${endpoint.registry} wants its credentials sent to ${realm.host}, which the worker's operator did not name (${flag})`,
      )
    }
    const query = { service: parameters.get('service') ?? '', scope: scopeOf(parameters.get('scope'), access) }
    const answer = await this.transport.send(requestOf(realm, query, credential, signal))
    if (answer.status === 200) return readToken(await readBody(answer, maxTokenBytes, signal), realm)
    dump(answer)
    const who = credential ? 'the credentials' : 'an anonymous request'
    if (answer.status === 401 || answer.status === 403 || answer.status === 400) {
      throw refuse('IMAGE_UNAUTHORIZED', `${realm.host} gives no token to ${who} (status ${answer.status})`)
    }
    throw refuse('IMAGE_REGISTRY_PROTOCOL', `${realm.host} gives no token (status ${answer.status})`)
  }
}

function keyOf({ endpoint, repository, credential }: Access): string {
  return `${endpoint.origin} ${repository} ${credential?.fingerprint ?? ''}`
}

/** Tokens before passwords, which then only the token service sees. */
function choose({ headers, url }: Answer, { credential }: Access): Challenge {
  const header = headers['www-authenticate']
  const challenges = parseChallenges(Array.isArray(header) ? header.join(', ') : (header ?? ''))
  const bearer = challenges?.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.has('realm'))
  const basic = challenges?.find(({ scheme }) => scheme === 'basic')
  if (bearer) return bearer
  if (basic && credential?.basic !== undefined) return basic
  if (basic) throw refuse('IMAGE_UNAUTHORIZED', `${url.host} wants a user name and a password, and none is given for it`)
  throw refuse(
    'IMAGE_REGISTRY_PROTOCOL',
    `${url.host} refuses the request, and does not say in a known way how to ask (WWW-Authenticate)`,
  )
}

function basicOf({ credential, endpoint }: Access, shown: string | undefined): Token {
  const header = credential?.basic
  if (header === undefined || header === shown)
    throw refuse('IMAGE_UNAUTHORIZED', `${endpoint.registry} does not take the credentials (401)`)
  return { header, untilMs: Number.POSITIVE_INFINITY }
}

function realmOf(text: string | undefined, { registry }: Endpoint, { plainHttp }: RegistryOptions): URL {
  const wrong = (what: string) => refuse('IMAGE_REGISTRY_DENIED', `${registry} names a token service ${what}`)
  if (text === undefined || !URL.canParse(text)) throw wrong('that is no URL')
  const realm = new URL(text)
  if (realm.username !== '' || realm.password !== '') throw wrong('with a user in its URL')
  const isPlain = realm.protocol === 'http:' && plainHttp.has(realm.host)
  if (realm.protocol !== 'https:' && !isPlain) throw wrong('without TLS')
  realm.hash = ''
  return realm
}

/** Only what this pull needs, whatever the challenge asks for; a registry that has no scopes of repositories gets its own back. */
function scopeOf(asked: string | undefined, { repository }: Access): string {
  return asked === undefined || asked.includes('repository:') ? `repository:${repository}:pull` : asked
}

function requestOf(
  realm: URL,
  query: { service: string; scope: string },
  credential: Credential | undefined,
  signal: AbortSignal,
) {
  const common = { headers: { accept: 'application/json' }, mayRedirect: false, signal }
  const refreshToken = credential?.refreshToken
  const named = Object.entries(query).filter(([, value]) => value !== '')
  if (refreshToken !== undefined) {
    const form = new URLSearchParams([
      ...named,
      ['grant_type', 'refresh_token'],
      ['client_id', 'caisson'],
      ['refresh_token', refreshToken],
    ])
    const headers = { ...common.headers, 'content-type': 'application/x-www-form-urlencoded' }
    return { ...common, headers, method: 'POST' as const, url: realm, body: form.toString() }
  }
  const url = new URL(realm)
  for (const [name, value] of named) url.searchParams.set(name, value)
  const authorization = credential?.basic
  return { ...common, method: 'GET' as const, url, ...(authorization !== undefined && { authorization }) }
}

function readToken(body: Buffer, realm: URL): Token {
  const wrong = () => refuse('IMAGE_REGISTRY_PROTOCOL', `${realm.host} answered with something that is no token`)
  let answer: { token?: unknown; access_token?: unknown; expires_in?: unknown } | null
  try {
    answer = JSON.parse(body.toString('utf8'))
  } catch {
    throw wrong()
  }
  const token = answer?.token || answer?.access_token
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) throw wrong()
  const seconds = typeof answer?.expires_in === 'number' && answer.expires_in > 0 ? answer.expires_in : defaultSeconds
  return { header: `Bearer ${token}`, untilMs: Date.now() + seconds * 1000 * usedShare }
}
