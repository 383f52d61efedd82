// Debian's docker-registry, as its operators run it, with images that skopeo pushed.

import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { createServer, type Server } from 'node:https'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '../../client/up/port.js'
import type { Certificates } from './certificates.js'
import { until } from './until.js'

export interface User {
  name: string
  password: string
}

export interface RegistryOptions {
  tls?: Certificates
  /** By password. */
  user?: User
  /** By token service. */
  tokens?: TokenServer
}

export class Registry {
  private constructor(
    readonly host: string,
    private readonly process: ChildProcess,
    private readonly options: RegistryOptions,
  ) {}

  static async start(folder: string, options: RegistryOptions = {}): Promise<Registry> {
    const port = await freePort()
    const own = join(folder, `registry-${port}`)
    await mkdir(own)
    await writeFile(join(own, 'config.json'), JSON.stringify(await configOf(own, port, options)))
    const process = spawn('docker-registry', ['serve', join(own, 'config.json')], { stdio: 'ignore' })
    const registry = new Registry(`localhost:${port}`, process, options)
    await until('the registry answers', 20_000, async () => {
      if (process.exitCode !== null) throw new Error(`docker-registry exited with ${process.exitCode}`)
      return await answers(port)
    })
    return registry
  }

  get port(): number {
    return Number(this.host.split(':')[1])
  }

  /** Digest of the manifest as pushed. */
  async push(source: string, name: string, ...args: string[]): Promise<string> {
    const { user, tokens, tls } = this.options
    const who = user ?? tokens?.user
    const credentials = who ? ['--dest-creds', `${who.name}:${who.password}`] : []
    const trust = tls ? [] : ['--dest-tls-verify=false']
    const destination = `docker://${this.host}/${name}`
    const env = { ...process.env, ...(tls && { SSL_CERT_FILE: tls.caFile }) }
    await promisify(execFile)('skopeo', ['copy', '--quiet', ...args, ...trust, ...credentials, source, destination], { env })
    const inspect = ['inspect', '--format', '{{.Digest}}', ...trust.map(() => '--tls-verify=false')]
    const asWho = who ? ['--creds', `${who.name}:${who.password}`] : []
    const { stdout } = await promisify(execFile)('skopeo', [...inspect, ...asWho, destination], { env })
    return stdout.trim()
  }

  async stop(): Promise<void> {
    const exited = once(this.process, 'exit')
    this.process.kill('SIGKILL')
    await exited
  }
}

async function configOf(folder: string, port: number, { tls, user, tokens }: RegistryOptions) {
  const addresses = { addr: `127.0.0.1:${port}`, secret: 'shared', net: 'tcp' }
  const auth = user ? { htpasswd: await passwords(folder, user) } : tokens?.registryAuth
  return {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(folder, 'data') } },
    http: { ...addresses, ...(tls && { tls: { certificate: tls.certFile, key: tls.keyFile } }) },
    ...(auth && { auth }),
  }
}

async function passwords(folder: string, { name, password }: User) {
  const path = join(folder, 'htpasswd')
  const salt = '$2b$05$abcdefghijklmnopqrstuu'
  const hash = execFileSync('perl', ['-e', 'print crypt($ARGV[0], $ARGV[1])', password, salt], { encoding: 'utf8' })
  await writeFile(path, `${name}:${hash}\n`)
  return { realm: 'test', path }
}

/** Of either kind: to a plain request, a registry with TLS answers 400. */
const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    get({ host: '127.0.0.1', port, path: '/v2/' }, (response) => {
      response.resume()
      resolve(true)
    }).on('error', () => resolve(false))
  })

/** A token service with one user, who may do everything. */
export class TokenServer {
  /** How many tokens it gave. */
  given = 0

  private constructor(
    readonly host: string,
    readonly user: User,
    private readonly tls: Certificates,
    private readonly server: Server,
  ) {}

  static async start(tls: Certificates, user: User): Promise<TokenServer> {
    const server = createServer({ key: tls.key, cert: tls.cert })
    const port = await freePort()
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    const tokens = new TokenServer(`localhost:${port}`, user, tls, server)
    const expected = `Basic ${Buffer.from(`${user.name}:${user.password}`).toString('base64')}`
    server.on('request', (request, response) => {
      if (request.headers.authorization !== expected) return response.writeHead(401).end()
      const url = new URL(request.url ?? '', `https://${tokens.host}`)
      tokens.given++
      response.setHeader('content-type', 'application/json')
      return response.end(JSON.stringify({ token: tokens.#token(url.searchParams.getAll('scope')), expires_in: 300 }))
    })
    return tokens
  }

  get registryAuth() {
    const realm = `https://${this.host}/token`
    return { token: { realm, service: 'test', issuer: 'test', rootcertbundle: this.tls.caFile } }
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }

  #token(scopes: string[]): string {
    const now = Math.floor(Date.now() / 1000)
    const access = scopes.map((scope) => {
      const [type, name, actions = ''] = scope.split(':')
      return { type, name, actions: actions.split(',') }
    })
    const certificate = new X509Certificate(this.tls.cert).raw.toString('base64')
    const encode = (json: object) => Buffer.from(JSON.stringify(json)).toString('base64url')
    const times = { iat: now - 10, nbf: now - 10, exp: now + 300 }
    const claims = { iss: 'test', aud: 'test', sub: this.user.name, jti: randomUUID(), access, ...times }
    const signed = `${encode({ typ: 'JWT', alg: 'RS256', x5c: [certificate] })}.${encode(claims)}`
    return `${signed}.${sign('sha256', Buffer.from(signed), createPrivateKey(this.tls.key)).toString('base64url')}`
  }
}
