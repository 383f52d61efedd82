// What the operator says about registries, from flags and environment; judged once, before the worker serves.
import { readFileSync } from 'node:fs'

export interface RegistryFlags {
  /** HOST=URL */
  mirrors?: string[] | undefined
  /** HOST[:PORT] */
  plainHttp?: string[] | undefined
  /** HOST[:PORT] */
  allow?: string[] | undefined
  /** HOST=REALMHOST */
  realms?: string[] | undefined
  caFile?: string | undefined
  configFile?: string | undefined
}

export interface Endpoint {
  /** https://HOST[:PORT], or http where the operator listed it. */
  origin: string
  /** For which credentials are kept: the host of the reference, or that of the mirror. */
  registry: string
  /** What a mirror's repositories begin with: "" or "dockerhub/". */
  prefix: string
  isMirror: boolean
}

export interface Proxies {
  http?: string
  https?: string
  /** As in NO_PROXY. */
  exceptions?: string
}

/** How long is waited for what, and how often it is tried. */
export interface Patience {
  tries: number
  /** Before the second try; doubled for each more. */
  firstDelayMs: number
  /** A registry that asks for more is not waited for. */
  mostRetryAfterMs: number
  connectMs: number
  /** Without any byte. */
  idleMs: number
  /** For a manifest or a token, altogether. */
  answerMs: number
  /** For what came of a blob so far: this, and the time that it takes at the slowest rate. */
  blobMs: number
  leastBytesPerSecond: number
}

export const patience: Patience = {
  tries: 5,
  firstDelayMs: 300,
  mostRetryAfterMs: 30_000,
  connectMs: 15_000,
  idleMs: 45_000,
  answerMs: 60_000,
  blobMs: 120_000,
  leastBytesPerSecond: 32 << 10,
}

export interface RegistryOptions {
  mirrors: ReadonlyMap<string, readonly Endpoint[]>
  plainHttp: ReadonlySet<string>
  /** Everything that the operator named as HOST[:PORT] in any flag: its address may be private. */
  named: ReadonlySet<string>
  realms: ReadonlyMap<string, ReadonlySet<string>>
  /** PEM, added to the roots that Node knows. */
  ca?: string
  configFile?: string
  proxies: Proxies
  patience: Patience
}

/** The flag is named by whoever prints it. */
export class RegistryFlagError extends Error {
  override readonly name = 'RegistryFlagError'
}

const dockerApi = 'https://registry-1.docker.io'

export function registryOptions(flags: RegistryFlags, environment: NodeJS.ProcessEnv): RegistryOptions {
  const plainHttp = new Set((flags.plainHttp ?? []).map((text) => hostOf('--registry-plain-http', text)))
  const allow = (flags.allow ?? []).map((text) => hostOf('--registry-allow', text))
  const realms = grouped((flags.realms ?? []).map((text) => pair('--registry-realm', text)))
  const mirrors = new Map<string, Endpoint[]>()
  for (const text of flags.mirrors ?? []) {
    const [host, url] = pair('--registry-mirror', text, (right) => right)
    const mirror = mirrorOf(text, url, plainHttp)
    mirrors.set(host, [...(mirrors.get(host) ?? []), mirror])
  }
  const mirrorHosts = [...mirrors.values()].flat().map(({ registry }) => registry)
  const realmHosts = [...realms.values()].flatMap((hosts) => [...hosts])
  return {
    mirrors,
    plainHttp,
    named: new Set([...allow, ...plainHttp, ...mirrorHosts, ...realmHosts]),
    realms,
    ...(flags.caFile !== undefined && { ca: readCa(flags.caFile) }),
    ...(flags.configFile !== undefined && { configFile: flags.configFile }),
    proxies: proxiesOf(environment),
    patience,
  }
}

/** Mirrors in their order, then the registry itself. */
export function endpointsOf(host: string, { mirrors, plainHttp }: RegistryOptions): Endpoint[] {
  const own = host === 'docker.io' ? dockerApi : `${plainHttp.has(plainName(host)) ? 'http' : 'https'}://${host}`
  return [...(mirrors.get(host) ?? []), { origin: new URL(own).origin, registry: host, prefix: '', isMirror: false }]
}

/** HOST[:PORT] of a URL as the operator would write it; the scheme's own port goes without saying. */
export const authority = (url: URL): string => url.host

const plainName = (host: string) => new URL(`http://${host}`).host

function hostOf(flag: string, text: string): string {
  const match = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?$/.exec(text)
  const parsed = match && URL.canParse(`http://${text}`) ? new URL(`http://${text}`) : undefined
  if (!parsed) throw new RegistryFlagError(`${flag} ${JSON.stringify(text)}: must be HOST[:PORT]`)
  // The default port of https is not that of http: both ways of writing it mean the same host.
  return parsed.port === '443' ? parsed.hostname : parsed.host
}

function pair(flag: string, text: string, right = (value: string) => hostOf(flag, value)): [string, string] {
  const at = text.indexOf('=')
  if (at < 1)
    throw new RegistryFlagError(`${flag} ${JSON.stringify(text)}: must be HOST=${flag.includes('mirror') ? 'URL' : 'HOST'}`)
  return [hostOf(flag, text.slice(0, at)), right(text.slice(at + 1))]
}

function grouped(pairs: [string, string][]): Map<string, Set<string>> {
  const groups = new Map<string, Set<string>>()
  for (const [key, value] of pairs) groups.set(key, new Set([...(groups.get(key) ?? []), value]))
  return groups
}

function mirrorOf(text: string, url: string, plainHttp: Set<string>): Endpoint {
  const wrong = (what: string) => new RegistryFlagError(`--registry-mirror ${JSON.stringify(text)}: ${what}`)
  if (!URL.canParse(url)) throw wrong('must be HOST=URL')
  const { protocol, host, origin, pathname, username, password, search, hash } = new URL(url)
  if (protocol !== 'https:' && protocol !== 'http:') throw wrong('the URL must be https')
  if (protocol === 'http:' && !plainHttp.has(host))
    throw wrong(`the URL must be https, or --registry-plain-http ${host} be given`)
  if (username || password || search || hash) throw wrong('the URL must hold no more than scheme, host, port and path')
  const path = pathname.replace(/^\/+|\/+$/g, '')
  if (path !== '' && !/^[a-z0-9._/-]+$/.test(path)) throw wrong('the path is what the repositories there begin with')
  return { origin, registry: host, prefix: path === '' ? '' : `${path}/`, isMirror: true }
}

function readCa(file: string): string {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new RegistryFlagError(`--registry-ca ${file} cannot be read: ${(error as Error).message}`)
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----'))
    throw new RegistryFlagError(`--registry-ca ${file} holds no certificate (PEM)`)
  return text
}

/** Lower case first, as curl does; an upper-case HTTP_PROXY could be a header of a CGI request, but no such request comes near us. */
function proxiesOf(environment: NodeJS.ProcessEnv): Proxies {
  const read = (name: string) => environment[name] || environment[name.toUpperCase()]
  const [http, https, exceptions] = [proxy('http_proxy'), proxy('https_proxy'), read('no_proxy')]
  return { ...(http && { http }), ...(https && { https }), ...(exceptions && { exceptions }) }

  function proxy(name: string): string | undefined {
    const text = read(name)
    if (!text) return undefined
    const url = text.includes('://') ? text : `http://${text}`
    // Not the text itself: it may hold a password.
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
      throw new RegistryFlagError(`${name}: must be an http or https URL`)
    return url
  }
}
