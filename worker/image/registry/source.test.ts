// Registries as they should be, over networks as they are.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { sha256 } from '../documents/digest.js'
import { assertRefused, tarOf, types } from '../fixture.js'
import { Credential } from './credential.js'
import { Content, type Handler, pull, registriesOf, Scripted } from './scripted.js'

const big = await tarOf([{ name: 'big', data: randomBytes(3 << 20) }])
const small = await tarOf([{ name: 'small', data: randomBytes(1000) }])

/** Tells the registry to be cut: at each try of a blob after so many bytes more. */
function cutting(content: Content, bytesOf: () => number, withRanges: boolean): Handler {
  return (request, response) => {
    const blob = content.blobs.get(request.url?.split('/').at(-1) ?? '')
    if (!blob || blob.length < 1 << 20) return content.serve(request, response)
    if (!withRanges) delete request.headers.range
    const from = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0)
    const until = from + bytesOf()
    if (until >= blob.length) return content.serve(request, response)
    if (from > 0) response.setHeader('content-range', `bytes ${from}-${blob.length - 1}/${blob.length}`)
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': blob.length - from })
    // A reset takes away what the other side has not read yet: it has the time to.
    response.write(blob.subarray(from, until), () => setTimeout(() => response.socket?.resetAndDestroy(), 100))
  }
}

test('a download that is cut anywhere goes on where it was', async () => {
  const content = new Content([big, small])
  await using registry = await Scripted.start(cutting(content, () => (300 << 10) + Math.floor(Math.random() * 400_000), true))
  const registries = registriesOf({ plainHttp: [registry.host] }, { blobMs: 20_000 })
  assert.deepEqual(await pull(registries, `${registry.host}/a`), content.layers)
  const ranges = registry.seen.flatMap(({ headers }) => headers.range ?? [])
  assert.ok(ranges.length >= 3, `${ranges}`)
  await registries.close()
})

test('without ranges it starts anew, and what came already is dropped', async () => {
  const content = new Content([big])
  let grown = 0
  await using registry = await Scripted.start(cutting(content, () => (grown += 700 << 10), false))
  const registries = registriesOf({ plainHttp: [registry.host] }, { blobMs: 20_000 })
  assert.deepEqual(await pull(registries, `${registry.host}/a`), content.layers)
  await registries.close()
})

test('a connection that breaks without getting anywhere is given up', async () => {
  const content = new Content([big])
  await using registry = await Scripted.start(cutting(content, () => 10, true))
  const registries = registriesOf({ plainHttp: [registry.host] })
  await assert.rejects(pull(registries, `${registry.host}/a`), (error: Error & { reason: string }) => {
    return error.reason === 'REGISTRY_UNREACHABLE' && /cannot be reached/.test(error.message)
  })
  await registries.close()
})

test('429 and 503 are waited for as long as is asked', async () => {
  const content = new Content([small])
  const refusals = [429, 503]
  await using registry = await Scripted.start((request, response) => {
    const status = refusals.shift()
    if (status === undefined) return content.serve(request, response)
    return response.writeHead(status, { 'retry-after': '1' }).end()
  })
  const registries = registriesOf({ plainHttp: [registry.host] })
  const start = performance.now()
  assert.deepEqual(await pull(registries, `${registry.host}/a`), content.layers)
  assert.ok(performance.now() - start >= 1990)
  await registries.close()
})

test('one token for all layers, another when it has expired or is refused', async () => {
  const content = new Content([small, big])
  let valid = 't0'
  let asked = 0
  await using tokens = await Scripted.start((_, response) => {
    valid = `t${++asked}`
    response.end(JSON.stringify({ access_token: valid, expires_in: 3600 }))
  })
  await using registry = await Scripted.start((request, response) =>
    request.headers.authorization === `Bearer ${valid}`
      ? content.serve(request, response)
      : response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${tokens.host}/",scope="repository:a:pull"` }).end(),
  )
  const registries = registriesOf({ plainHttp: [registry.host, tokens.host] })
  const text = `${registry.host}/a`
  assert.deepEqual(await pull(registries, text), content.layers)
  assert.deepEqual(await pull(registries, text), content.layers)
  assert.equal(asked, 1)
  valid = 'revoked'
  assert.deepEqual(await pull(registries, text), content.layers)
  assert.equal(asked, 2)
  // Somebody else gets a token of their own.
  await pull(registries, text, Credential.password('u', 'p'))
  assert.equal(asked, 3)
  await registries.close()
})

test('an identity token is exchanged, and goes nowhere else', async () => {
  const content = new Content([small])
  let posted = ''
  await using tokens = await Scripted.start(async (request, response) => {
    for await (const chunk of request) posted += chunk
    response.end(JSON.stringify({ access_token: 'acc', expires_in: 3600 }))
  })
  await using registry = await Scripted.start((request, response) =>
    request.headers.authorization === 'Bearer acc'
      ? content.serve(request, response)
      : response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${tokens.host}/",service="s"` }).end(),
  )
  const registries = registriesOf({ plainHttp: [registry.host, tokens.host] })
  assert.deepEqual(await pull(registries, `${registry.host}/a`, Credential.identityToken('refresh-me')), content.layers)
  assert.deepEqual(Object.fromEntries(new URLSearchParams(posted)), {
    service: 's',
    scope: 'repository:a:pull',
    grant_type: 'refresh_token',
    client_id: 'caisson',
    refresh_token: 'refresh-me',
  })
  assert.ok(!registry.heard.includes('refresh-me'))
  await registries.close()
})

test('a mirror is asked first, and what it has not, or fails at, comes from the registry', async () => {
  const content = new Content([small, big])
  let broken = false
  await using registry = await Scripted.start(content.serve)
  await using mirror = await Scripted.start((request, response) => {
    if (broken) return response.writeHead(503).end()
    if (request.url?.endsWith(sha256(content.layers[1] as Buffer))) return response.writeHead(404).end()
    content.serve(request, response)
  })
  const mirrors = [`${registry.host}=http://${mirror.host}/hub`]
  const registries = registriesOf({ plainHttp: [registry.host, mirror.host], mirrors })
  assert.deepEqual(await pull(registries, `${registry.host}/a/b`), content.layers)
  assert.ok(mirror.seen.every(({ url }) => url.startsWith('/v2/hub/a/b/')))
  assert.deepEqual(
    registry.seen.map(({ url }) => url),
    [`/v2/a/b/blobs/${sha256(content.layers[1] as Buffer)}`],
  )
  broken = true
  assert.deepEqual(await pull(registries, `${registry.host}/a/b`), content.layers)

  // A run's own credential is for the registry's own host.
  const before = mirror.seen.length
  assert.deepEqual(await pull(registries, `${registry.host}/a/b`, Credential.password('u', 'p')), content.layers)
  assert.equal(mirror.seen.length, before)
  await registries.close()
})

test('an index, nested, with the platform of this host; types that are vague are read from the document', async () => {
  const content = new Content([small])
  const of = (digest: string) => ({ digest, size: content.documents.get(digest)?.bytes.length })
  const inner = content.document(
    {
      schemaVersion: 2,
      manifests: [{ mediaType: types.manifest, ...of(content.digest), platform: { os: 'linux', architecture: 'amd64' } }],
    },
    types.index,
  )
  content.document({ schemaVersion: 2, manifests: [{ mediaType: types.index, ...of(inner) }] }, 'application/json', 'nested')
  await using registry = await Scripted.start(content.serve)
  const registries = registriesOf({ plainHttp: [registry.host] })
  assert.deepEqual(await pull(registries, `${registry.host}/a:nested`), content.layers)
  content.document(
    {
      schemaVersion: 2,
      manifests: [{ mediaType: types.manifest, ...of(content.digest), platform: { os: 'windows', architecture: 'amd64' } }],
    },
    types.index,
    'windows',
  )
  await assertRefused(pull(registries, `${registry.host}/a:windows`), /offers: windows\/amd64/, 'IMAGE_PLATFORM')
  await registries.close()
})

test('through a proxy, but not where the operator excepted it', async () => {
  const content = new Content([small])
  await using registry = await Scripted.start(content.serve)
  const connected: string[] = []
  await using proxy = await Scripted.start((_, response) => response.writeHead(400).end())
  const { connect } = await import('node:net')
  proxy.server.on('connect', (request, socket) => {
    connected.push(`${request.url} ${request.headers['proxy-authorization']}`)
    const [host, port] = (request.url ?? '').split(':')
    const through = connect(Number(port), host, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'))
    through.pipe(socket).pipe(through)
    for (const end of [through, socket]) end.on('error', () => {})
  })
  const environment = { http_proxy: `http://me:hush@${proxy.host}` }
  const registries = registriesOf({ plainHttp: [registry.host] }, {}, environment)
  assert.deepEqual(await pull(registries, `${registry.host}/a`), content.layers)
  assert.ok(connected.length > 0)
  assert.ok(
    connected.every((line) => line === `${registry.host} Basic ${Buffer.from('me:hush').toString('base64')}`),
    `${connected}`,
  )
  assert.ok(!registry.heard.includes('proxy-authorization'))
  const count = connected.length
  const around = registriesOf({ plainHttp: [registry.host] }, {}, { ...environment, no_proxy: '127.0.0.1' })
  assert.deepEqual(await pull(around, `${registry.host}/a`), content.layers)
  assert.equal(connected.length, count)
  await assertRefused(pull(registries, '10.0.0.1/a'), /private address/, 'IMAGE_REGISTRY_DENIED')
  assert.equal(connected.length, count)
  for (const each of [registries, around]) await each.close()
})
