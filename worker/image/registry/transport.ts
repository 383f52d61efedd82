// One request and its redirects. The only place that puts a credential on the wire: it goes to the origin that it is for, and to no other.
import type { IncomingHttpHeaders } from 'node:http'
import { type Dispatcher, request } from 'undici'
import { dispatcherOf, refuseByName } from './connect.js'
import { Passing, refuse, Unreachable, withoutAnswer } from './failures.js'
import { authority, type RegistryOptions } from './options.js'
import { retryAfter } from './retry.js'

export interface Ask {
  method: 'GET' | 'HEAD' | 'POST'
  url: URL
  headers: Record<string, string>
  /** Left behind at the first redirect to another origin. */
  authorization?: string
  body?: string
  /** Token services get none. */
  mayRedirect: boolean
  signal: AbortSignal
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Dispatcher.ResponseData['body']
  /** Who gave it. */
  url: URL
  /** Of the host that was asked, not of one that it redirected to. */
  isOwn: boolean
}

const maxRedirects = 5
const redirects = [301, 302, 303, 307, 308]
const dumpedBytes = 16 << 10

export class Transport {
  readonly #dispatcher: Dispatcher

  constructor(readonly options: RegistryOptions) {
    this.#dispatcher = dispatcherOf(options)
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy()
  }

  /** Any status but a redirect; those that may pass are thrown as Passing. */
  async send(ask: Ask): Promise<Answer> {
    let { url } = ask
    let isOwn = true
    for (let hops = 0; ; hops++) {
      const answer = await this.#once(ask, url, isOwn)
      if (!redirects.includes(answer.status)) return settled(answer)
      dump(answer)
      if (!ask.mayRedirect)
        throw refuse('IMAGE_REGISTRY_DENIED', `${url.host} redirects a request for a token, which is not followed`)
      if (hops === maxRedirects)
        throw refuse('IMAGE_REGISTRY_PROTOCOL', `${ask.url.host} redirects more than ${maxRedirects} times`)
      url = this.#target(answer, url)
      isOwn &&= url.origin === ask.url.origin
    }
  }

  async #once(ask: Ask, url: URL, isOwn: boolean): Promise<Answer> {
    const { method, headers, authorization, body, signal } = ask
    try {
      refuseByName(url, this.options.named)
      const response = await request(url, {
        dispatcher: this.#dispatcher,
        method,
        headers: { ...headers, ...(isOwn && authorization !== undefined && { authorization }) },
        ...(body !== undefined && { body }),
        signal,
      })
      // Whoever reads hears of it; where nobody does, it must not end the process.
      response.body.on('error', () => {})
      return { status: response.statusCode, headers: response.headers, body: response.body, url, isOwn }
    } catch (error) {
      throw interrupted(error, url, signal)
    }
  }

  #target({ headers }: Answer, from: URL): URL {
    const { location } = headers
    const denied = (what: string) => refuse('IMAGE_REGISTRY_DENIED', `${from.host} redirects to ${what}`)
    if (location === undefined || !URL.canParse(location, from.href)) throw denied('nowhere')
    const to = new URL(location, from)
    to.hash = ''
    if (to.username !== '' || to.password !== '') throw denied('an address with a user in it')
    if (to.protocol === 'https:') return to
    if (to.protocol !== 'http:') throw denied('something that is not http')
    if (from.protocol === 'https:') throw denied(`${to.host} without TLS`)
    if (!this.options.plainHttp.has(authority(to))) throw denied(`${to.host}, for which plain HTTP is not allowed`)
    return to
  }
}

/** All of a body that is no longer than the limit. */
export async function readBody(answer: Answer, limit: number, signal: AbortSignal): Promise<Buffer> {
  const { headers, body, url } = answer
  // Nobody asked for one: what it hides, limits would not see.
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    dump(answer)
    throw refuse('IMAGE_REGISTRY_PROTOCOL', `${url.host} answered with a content-encoding, which was not asked for`)
  }
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of body) {
      length += (chunk as Buffer).length
      if (length > limit) break
      chunks.push(chunk as Buffer)
    }
  } catch (error) {
    throw interrupted(error, url, signal)
  }
  if (length > limit) throw refuse('IMAGE_TOO_LARGE', `${url.host} answered with more than the ${limit} bytes that are taken`)
  return Buffer.concat(chunks)
}

/** What a broken request or body is: the caller's own end of it, ours, or theirs. */
export function interrupted(error: unknown, url: URL, signal: AbortSignal): unknown {
  if (!signal.aborted) return withoutAnswer(error, url)
  const reason: unknown = signal.reason
  const isLate = reason instanceof DOMException && reason.name === 'TimeoutError'
  return isLate ? new Passing(new Unreachable(`${url.host} took too long to answer`, error)) : reason
}

/** So that the connection can be used again, if there is little of it. */
export function dump({ body }: Answer): void {
  body.dump({ limit: dumpedBytes }).catch(() => {})
}

function settled(answer: Answer): Answer {
  const { status, headers, url } = answer
  if (status !== 429 && status < 500) return answer
  dump(answer)
  const header = headers['retry-after']
  const afterMs = retryAfter(Array.isArray(header) ? header[0] : header, Date.now())
  if (status === 429) {
    const wish = afterMs === undefined ? '' : `; it asks to wait ${Math.ceil(afterMs / 1000)} s`
    throw new Passing(refuse('IMAGE_RATE_LIMITED', `${url.host} has had too many requests (429)${wish}`), afterMs)
  }
  throw new Passing(new Unreachable(`${url.host} fails (status ${status})`), afterMs)
}
