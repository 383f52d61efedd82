// One repository at one endpoint, with the distribution specification's requests for pulling.

import { isDigest } from '../../../proto/reference.js'
import { indexTypes, manifestTypes, maxManifestBytes } from '../documents/manifest.js'
import { Passing, refuse, Unreachable } from './failures.js'
import type { Patience } from './options.js'
import { retrying } from './retry.js'
import type { Access, Tokens } from './tokens.js'
import { type Answer, dump, readBody, type Transport } from './transport.js'

export interface Document {
  bytes: Buffer
  /** As the registry says; undefined: it does not. */
  mediaType: string | undefined
}

const accepted = [...manifestTypes, ...indexTypes].join(', ')
const maxErrorBytes = 8192

/** The codes of the specification. Nothing else of an error's body is repeated: it could hold anything. */
const knownCodes = new Set(
  'BLOB_UNKNOWN DENIED MANIFEST_INVALID MANIFEST_UNKNOWN NAME_INVALID NAME_UNKNOWN TOOMANYREQUESTS UNAUTHORIZED UNSUPPORTED'.split(
    ' ',
  ),
)

export class Repository {
  readonly #patience: Patience
  readonly #url: string

  constructor(
    private readonly transport: Transport,
    private readonly tokens: Tokens,
    private readonly access: Access,
    /** Where there is another endpoint to ask, waiting for this one has no use. */
    tries = transport.options.patience.tries,
  ) {
    this.#patience = { ...transport.options.patience, tries }
    this.#url = `${access.endpoint.origin}/v2/${access.repository}`
  }

  get host(): string {
    return new URL(this.access.endpoint.origin).host
  }

  manifest(reference: string, signal: AbortSignal): Promise<Document> {
    return this.#patiently(signal, async (signal) => {
      const answer = await this.#ask('GET', `manifests/${reference}`, { accept: accepted }, signal)
      const type = answer.headers['content-type']
      const mediaType = (Array.isArray(type) ? type[0] : type)?.split(';')[0]?.trim().toLowerCase()
      return { bytes: await readBody(answer, maxManifestBytes, signal), mediaType }
    })
  }

  /** A hint, which nothing proves: enough to see that a tag stands where it stood. Undefined: the registry does not tell. */
  digestOf(tag: string, signal: AbortSignal): Promise<string | undefined> {
    return this.#patiently(signal, async (signal) => {
      const answer = await this.#send('HEAD', `manifests/${tag}`, { accept: accepted }, signal)
      dump(answer)
      const digest = answer.headers['docker-content-digest']
      return answer.status === 200 && typeof digest === 'string' && isDigest(digest) ? digest : undefined
    })
  }

  /** From this byte on, if the registry can; once, as the download has a patience of its own. */
  blob(digest: string, offset: number, signal: AbortSignal): Promise<Answer> {
    const range: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {}
    return this.#ask('GET', `blobs/${digest}`, { accept: '*/*', ...range }, signal)
  }

  #patiently<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return retrying(this.#patience, signal, async () => {
      const late = AbortSignal.timeout(this.#patience.answerMs)
      try {
        return await work(AbortSignal.any([signal, late]))
      } catch (error) {
        if (!late.aborted || signal.aborted) throw error
        throw new Passing(new Unreachable(`${this.host} took too long to answer`, error))
      }
    })
  }

  async #ask(method: 'GET', path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Answer> {
    const answer = await this.#send(method, path, headers, signal)
    if (answer.status === 200 || answer.status === 206 || answer.status === 416) return answer
    throw await refusalOf(answer, signal)
  }

  async #send(method: 'GET' | 'HEAD', path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Answer> {
    const send = (authorization: string | undefined) =>
      this.transport.send({
        method,
        url: new URL(`${this.#url}/${path}`),
        headers: { ...headers, 'accept-encoding': 'identity', 'user-agent': 'caisson' },
        ...(authorization !== undefined && { authorization }),
        mayRedirect: true,
        signal,
      })
    const shown = this.tokens.known(this.access)
    const answer = await send(shown)
    // Only the registry itself may ask who we are; a host that it redirected to may not.
    if (answer.status !== 401 || !answer.isOwn) return answer
    dump(answer)
    return send(await this.tokens.after(answer, this.access, shown, signal))
  }
}

async function refusalOf(answer: Answer, signal: AbortSignal): Promise<Error> {
  const { status, url } = answer
  const code = await codeOf(answer, signal)
  const said = `${url.host} answered ${status}${code === undefined ? '' : ` ${code}`}`
  if (status === 401 || status === 403) return refuse('IMAGE_UNAUTHORIZED', `${said}: not allowed, or not there`)
  if (status === 404) return refuse('IMAGE_NOT_FOUND', `${said}: not there`)
  if (code === 'TOOMANYREQUESTS') return new Passing(refuse('IMAGE_RATE_LIMITED', `${said}: too many requests`))
  return refuse('IMAGE_REGISTRY_PROTOCOL', said)
}

async function codeOf(answer: Answer, signal: AbortSignal): Promise<string | undefined> {
  try {
    const body = JSON.parse((await readBody(answer, maxErrorBytes, signal)).toString('utf8'))
    const code: unknown = body?.errors?.[0]?.code
    return typeof code === 'string' && knownCodes.has(code) ? code : undefined
  } catch {
    return undefined
  }
}
