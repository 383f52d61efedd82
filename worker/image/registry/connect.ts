// Connections to registries: to named hosts anywhere, to all others only at public addresses. Judged by what a name resolved to for this very
// connection, so that a name which means something else a moment later gains nothing.
import { type LookupAddress, type LookupOptions, lookup } from 'node:dns'
import { isIP, type LookupFunction, type Socket } from 'node:net'
import { rootCertificates } from 'node:tls'
import { Agent, buildConnector, type Dispatcher, EnvHttpProxyAgent } from 'undici'
import { isPublic } from './addresses.js'
import { PrivateAddress } from './failures.js'
import type { RegistryOptions } from './options.js'

const maxHeaderBytes = 32 << 10
const connectionsPerHost = 8

export function dispatcherOf(options: RegistryOptions): Dispatcher {
  const { connectMs, idleMs } = options.patience
  const { http, https, exceptions } = options.proxies
  const tls = { timeout: connectMs, ...(options.ca !== undefined && { ca: [...rootCertificates, options.ca] }) }
  const common = {
    connect: connectorOf(options.named, tls),
    connections: connectionsPerHost,
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: idleMs,
    bodyTimeout: idleMs,
    pipelining: 1,
  }
  if (http === undefined && https === undefined) return new Agent(common)
  // Empty, not absent: what is absent it would look for in the environment.
  const proxies = { httpProxy: http ?? '', httpsProxy: https ?? '', noProxy: exceptions ?? '' }
  return new EnvHttpProxyAgent({ ...common, ...proxies, requestTls: tls, proxyTls: { timeout: connectMs } })
}

/** Also where a proxy would connect for us: what is written as an address is judged before anything is sent. */
export function refuseByName(url: URL, named: ReadonlySet<string>): void {
  const host = bare(url.hostname)
  if (isNamed(url.protocol, host, url.port, named)) return
  if (/(?:^|\.)localhost\.?$/.test(host) || (isIP(host) !== 0 && !isPublic(host))) throw new PrivateAddress(url.host)
}

/** An entry without a port means the ports of http and https. */
function isNamed(protocol: string, host: string, port: string, named: ReadonlySet<string>): boolean {
  const written = isIP(host) === 6 ? `[${host}]` : host
  const isDefault = port === '' || port === (protocol === 'http:' ? '80' : '443')
  return named.has(isDefault ? written : `${written}:${port}`)
}

function connectorOf(named: ReadonlySet<string>, tls: { timeout: number; ca?: string[] }): buildConnector.connector {
  const open = buildConnector(tls)
  const guarded = buildConnector({ ...tls, lookup: lookupPublic } as buildConnector.BuildOptions)
  return (options, callback) => {
    const host = bare(options.hostname)
    if (isNamed(options.protocol, host, options.port, named)) return open(options, callback)
    if (isIP(host) !== 0 && !isPublic(host)) return callback(new PrivateAddress(options.host ?? host), null)
    guarded(options, (...outcome) => {
      const [error, socket] = outcome
      if (error === null && !isAtPublicAddress(socket)) {
        socket.destroy()
        callback(new PrivateAddress(options.host ?? host), null)
      } else {
        callback(...outcome)
      }
    })
  }
}

/** In addition to the lookup, whatever way led past it. */
const isAtPublicAddress = ({ remoteAddress }: Socket): boolean => remoteAddress === undefined || isPublic(remoteAddress)

/** One private address among several is reason enough: no honest name has both. */
const lookupPublic: LookupFunction = (hostname, options, callback) => {
  const asked: LookupOptions & { all: true } = { ...options, all: true }
  lookup(hostname, asked, (error, addresses: LookupAddress[]) => {
    if (error) return callback(error, '')
    const [first] = addresses
    if (!first || !addresses.every(({ address }) => isPublic(address))) return callback(new PrivateAddress(hostname), '')
    if (options.all) callback(null, addresses)
    else callback(null, first.address, first.family)
  })
}

const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, '')
