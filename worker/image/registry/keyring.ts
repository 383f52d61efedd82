// The operator's credentials, in the file that `docker login` and `skopeo login` write: auths, credHelpers, credsStore.
import { readFile, stat } from 'node:fs/promises'
import { Credential } from './credential.js'
import { askHelper } from './helper.js'

interface Entries {
  auths: Map<string, Credential>
  /** Host → name of a helper. */
  helpers: Map<string, string>
  store?: string
}

const none: Entries = { auths: new Map(), helpers: new Map() }
const maxFileBytes = 1 << 20
/** A helper's answer is used for so long; some of them ask a cloud each time. */
const helperMs = 5 * 60_000

export class KeyringError extends Error {
  override readonly name = 'KeyringError'
}

export class Keyring {
  #entries: Entries = none
  #version = ''
  readonly #helped = new Map<string, { credential: Promise<Credential | undefined>; untilMs: number }>()

  constructor(readonly file: string | undefined) {}

  /** For a host as references name it. A file that changed is read again. */
  async of(host: string): Promise<Credential | undefined> {
    if (this.file === undefined) return undefined
    const { auths, helpers, store } = await this.#read(this.file)
    const helper = helpers.get(host)
    if (helper !== undefined) return this.#ask(helper, host)
    return auths.get(host) ?? (store === undefined ? undefined : this.#ask(store, host))
  }

  async #read(file: string): Promise<Entries> {
    const { mtimeMs, size, ino } = await stat(file)
    const version = `${mtimeMs} ${size} ${ino}`
    if (version === this.#version) return this.#entries
    if (size > maxFileBytes) throw new KeyringError(`${file} has more than ${maxFileBytes} bytes`)
    this.#entries = parseKeyring(await readFile(file, 'utf8'), file)
    this.#version = version
    this.#helped.clear()
    return this.#entries
  }

  #ask(helper: string, host: string): Promise<Credential | undefined> {
    const known = this.#helped.get(host)
    if (known && known.untilMs > Date.now()) return known.credential
    const credential = askHelper(helper, host === 'docker.io' ? dockerKey : host)
    this.#helped.set(host, { credential, untilMs: Date.now() + helperMs })
    credential.catch(() => this.#helped.delete(host))
    return credential
  }
}

/** The name that Docker's own registry has in these files. */
const dockerKey = 'https://index.docker.io/v1/'

/** Throws KeyringError, which tells no content. */
export function parseKeyring(text: string, file: string): Entries {
  const json = parseJson(text, file)
  const auths = new Map<string, Credential>()
  for (const [key, value] of Object.entries(objectOf(json['auths']))) {
    const credential = credentialOf(objectOf(value), `auths of ${key} in ${file}`)
    if (credential) auths.set(hostOf(key), credential)
  }
  const helpers = new Map<string, string>()
  for (const [key, value] of Object.entries(objectOf(json['credHelpers']))) helpers.set(hostOf(key), helperName(value, file))
  const store = json['credsStore']
  return { auths, helpers, ...(store !== undefined && store !== '' && { store: helperName(store, file) }) }
}

function parseJson(text: string, file: string): Record<string, unknown> {
  try {
    return objectOf(JSON.parse(text))
  } catch {
    // The parser's message quotes what it stumbled over.
    throw new KeyringError(`${file} is not JSON`)
  }
}

const objectOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}

/** Old files have URLs. */
function hostOf(key: string): string {
  const host = key
    .replace(/^https?:\/\//, '')
    .replace(/\/.*$/, '')
    .toLowerCase()
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? 'docker.io' : host
}

function credentialOf(
  { auth, username, password, identitytoken }: Record<string, unknown>,
  where: string,
): Credential | undefined {
  if (typeof identitytoken === 'string' && identitytoken !== '') return Credential.identityToken(identitytoken)
  if (typeof username === 'string' && typeof password === 'string' && username !== '')
    return Credential.password(username, password)
  if (typeof auth !== 'string' || auth === '') return undefined
  const decoded = Buffer.from(auth, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  if (colon < 1) throw new KeyringError(`${where}: auth must be base64 of USER:PASSWORD`)
  return Credential.password(decoded.slice(0, colon), decoded.slice(colon + 1).replace(/\0+$/, ''))
}

function helperName(value: unknown, file: string): string {
  if (typeof value === 'string' && /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(value)) return value
  throw new KeyringError(`${file} names a credential helper that is no name`)
}
