// Everything that a worker sends to registries, read by a proxy on its way: no credential reaches any host but the registry that it is for and
// that registry's token service.

import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { RunSpec } from '../../client/sdk/model.js'
import { makeCertificates } from '../harness/certificates.js'
import { container, describeVerdict, finish } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { busybox } from '../harness/images.js'
import { type Heard, listeningProxy } from '../harness/interference.js'
import { Registry, TokenServer } from '../harness/registry.js'

const operator = { name: 'operator', password: 'operators-pass-0815' }
const tenant = { name: 'tenant', password: 'tenants-pass-4711' }
const registryCredential = { username: tenant.name, password: tenant.password }
const heard: Heard[] = []
/** How the network leads astray; changed by each test. */
let lead: (request: IncomingMessage, response: ServerResponse) => boolean = () => false

let digest: string
let guarded: Registry
let tenants: Registry
let tokens: TokenServer

const fixture = await Fixture.start({}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'caisson-credentials-'))
  await chmod(folder, 0o755)
  const tls = await makeCertificates(folder, ['storage.example', 'evil.example', 'mirror.example', 'mirrored.example'])
  guarded = await Registry.start(folder, { tls, user: operator })
  tokens = await TokenServer.start(tls, tenant)
  tenants = await Registry.start(folder, { tls, tokens })
  for (const registry of [guarded, tenants]) digest = await registry.push(busybox, 'private/busybox:1')
  const proxy = await listeningProxy(tls, heard, (request, response) => lead(request, response))
  const auth = Buffer.from(`${operator.name}:${operator.password}`).toString('base64')
  const config = join(folder, 'config.json')
  await writeFile(config, JSON.stringify({ auths: { [guarded.host]: { auth } } }), { mode: 0o600 })
  const args = [
    '--registry-ca',
    tls.caFile,
    '--registry-config',
    config,
    '--registry-allow',
    guarded.host,
    tenants.host,
    tokens.host,
  ]
  args.push('--registry-mirror', 'mirrored.example=https://mirror.example')
  const undo = async () => {
    for (const each of [proxy, guarded, tenants, tokens]) await each.stop()
    await rm(folder, { recursive: true })
  }
  return { options: { args, env: { https_proxy: `http://${proxy.host.replace('localhost', '127.0.0.1')}` } }, undo }
})

after(() => {
  const own: Record<string, string[]> = {
    [operator.password]: [guarded.host],
    [tenant.password]: [tokens.host],
  }
  for (const [password, hosts] of Object.entries(own)) {
    const name = password === operator.password ? operator.name : tenant.name
    const encoded = Buffer.from(`${name}:${password}`).toString('base64')
    const told = heard.filter(({ headers, url }) =>
      [encoded, password].some((text) => headers.includes(text) || url.includes(text)),
    )
    assert.deepEqual([...new Set(told.map(({ host }) => host))], hosts)
  }
  // Tokens neither.
  const bearers = heard.filter(({ headers }) => /"authorization":"Bearer/.test(headers)).map(({ host }) => host)
  assert.deepEqual([...new Set(bearers)], [tenants.host])
})

const run = async (image: string, spec: Partial<RunSpec> = {}, withCredential = true) => {
  const options = withCredential ? { registryCredential } : {}
  const whole = container({ args: ['true'], pull: 'ALWAYS', ...spec, image })
  const finished = await finish(fixture.caisson.run(whole, options))
  return { ...finished, text: describeVerdict(finished) }
}

const hostsSince = (from: number) => new Set(heard.slice(from).map(({ host }) => host))

test('through the proxy, with both kinds of credentials', async () => {
  assert.equal((await run(`${guarded.host}/private/busybox:1`, {}, false)).verdict.outcome, 'EXITED')
  assert.equal((await run(`${tenants.host}/private/busybox:1`)).verdict.outcome, 'EXITED')
  assert.deepEqual(hostsSince(0), new Set([guarded.host, tenants.host, tokens.host]))
})

test('blobs that lie in a store elsewhere', async () => {
  const from = heard.length
  lead = (request, response) => {
    const { host = '' } = request.headers
    if (!request.url?.includes('/blobs/')) return false
    if (host !== 'storage.example') {
      response.writeHead(307, { location: `https://storage.example${request.url}?signature=x` }).end()
    } else {
      // It asks who we are, though that is none of its business.
      response.writeHead(401, { 'www-authenticate': 'Basic realm="storage", Bearer realm="https://evil.example/token"' }).end()
    }
    return true
  }
  for (const [host, withCredential] of [
    [guarded.host, false],
    [tenants.host, true],
  ] as const) {
    const { verdict, text } = await run(`${host}/private/busybox@${digest}`, {}, withCredential)
    // The layer is here already; the config is what is asked for.
    assert.equal(verdict.reason, 'IMAGE_UNAUTHORIZED', text)
    assert.match(verdict.message, /storage\.example answered 401/)
  }
  assert.ok(hostsSince(from).has('storage.example'))
  assert.ok(!hostsSince(from).has('evil.example'))
})

test('a registry that names a token service elsewhere, or one that moves', async () => {
  const from = heard.length
  lead = (request, response) => {
    if (!request.url?.startsWith('/v2/')) return false
    response.writeHead(401, { 'www-authenticate': 'Bearer realm="https://evil.example/token",service="x"' }).end()
    return true
  }
  for (const [host, withCredential] of [
    [`localhost:${tenants.port}`, true],
    [guarded.host, false],
  ] as const) {
    const { verdict, text } = await run(`${host}/private/other:1`, {}, withCredential)
    assert.equal(verdict.reason, 'IMAGE_REGISTRY_DENIED', text)
    assert.match(verdict.message, /wants its credentials sent to evil\.example/)
  }
  lead = (request, response) => {
    if (!request.url?.startsWith('/token')) return false
    response.writeHead(307, { location: 'https://evil.example/token' }).end()
    return true
  }
  const { verdict, text } = await run(`${tenants.host}/private/another:1`)
  assert.equal(verdict.reason, 'IMAGE_REGISTRY_DENIED', text)
  assert.ok(!hostsSince(from).has('evil.example'))
})

test('a redirect that would leave TLS, or enter this network', async () => {
  const from = heard.length
  for (const location of ['http://evil.example/', 'https://169.254.169.254/', 'https://127.0.0.1:1/', 'https://localhost:1/']) {
    lead = (request, response) => {
      if (!request.url?.includes('/blobs/') && !request.url?.includes('/manifests/')) return false
      response.writeHead(302, { location }).end()
      return true
    }
    const { verdict, text } = await run(`${guarded.host}/private/busybox:1`, {}, false)
    assert.equal(verdict.reason, 'IMAGE_REGISTRY_DENIED', text)
  }
  assert.deepEqual(hostsSince(from), new Set([guarded.host]))
})

test('a mirror gets no credential that is for the registry', async () => {
  const from = heard.length
  lead = (request, response) => {
    if (!['mirror.example', 'mirrored.example'].includes(request.headers.host ?? '')) return false
    response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
    return true
  }
  assert.equal((await run('mirrored.example/a', {}, false)).verdict.reason, 'IMAGE_UNAUTHORIZED')
  assert.deepEqual(hostsSince(from), new Set(['mirror.example', 'mirrored.example']))
})
