// Who gets to see a credential: the registry it is for, and whom that one may name.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertRefused, layerTar } from '../fixture.js'
import { Credential } from './credential.js'
import { Content, endless, type Handler, pull, registriesOf, Scripted } from './scripted.js'

const tar = await layerTar('hello')
const secret = 'hush-hush-4711'
const credential = Credential.password('user', secret)
const encoded = Buffer.from(`user:${secret}`).toString('base64')

test('what a redirect leads to sees no credential, nor does what it leads back to; and it may not ask for one', async () => {
  const content = new Content([tar])
  await using storage = await Scripted.start((request, response) => {
    if (request.url?.includes('/ask/')) return response.writeHead(401, { 'www-authenticate': 'Basic realm="give"' }).end()
    if (request.url?.includes('/back/'))
      return response.writeHead(307, { location: `http://${registry.host}/plain${request.url}` }).end()
    return content.serve(request, response)
  })
  let way = 'storage'
  await using registry = await Scripted.start((request, response) => {
    if (request.url?.startsWith('/plain')) return content.serve(request, response)
    if (request.headers.authorization !== `Basic ${encoded}`) {
      return response.writeHead(401, { 'www-authenticate': 'Basic realm="here"' }).end()
    }
    if (request.url?.includes('/manifests/')) return content.serve(request, response)
    return response.writeHead(307, { location: `http://${storage.host}/${way}${request.url}` }).end()
  })
  const registries = registriesOf({ plainHttp: [registry.host, storage.host] })
  for (way of ['storage', 'back']) assert.deepEqual(await pull(registries, `${registry.host}/a`, credential), content.layers)
  const plain = registry.seen.filter(({ url }) => url.startsWith('/plain'))
  assert.ok(plain.length > 0 && plain.every(({ authorization }) => authorization === undefined))
  way = 'ask'
  await assertRefused(pull(registries, `${registry.host}/a`, credential), /answered 401/, 'IMAGE_UNAUTHORIZED')
  assert.ok(storage.seen.length > 0)
  assert.ok(!storage.heard.includes(encoded) && !storage.heard.includes(secret))
  await registries.close()
})

test('a token service elsewhere gets no credential, and a named one does, without redirects', async () => {
  const content = new Content([tar])
  await using tokens = await Scripted.start(
    (request, response) =>
      request.url?.startsWith('/moved') ? response.writeHead(307, { location: '/token' }).end() : response.end('{"token":"t0k"}'),
    '127.0.0.3',
  )
  let realm = `http://${tokens.host}/token`
  await using registry = await Scripted.start((request, response) =>
    request.headers.authorization === 'Bearer t0k'
      ? content.serve(request, response)
      : response
          .writeHead(401, { 'www-authenticate': `Bearer realm="${realm}",service="s",scope="repository:a:pull,push"` })
          .end(),
  )
  const plainHttp = [registry.host, tokens.host]
  const careful = registriesOf({ plainHttp })
  await assertRefused(
    pull(careful, `${registry.host}/a`, credential),
    /--registry-realm 127\.0\.0\.1:\d+=127\.0\.0\.3/,
    'IMAGE_REGISTRY_DENIED',
  )
  assert.equal(tokens.seen.length, 0)
  // Without anything to lose, it may be anywhere.
  assert.deepEqual(await pull(careful, `${registry.host}/a`), content.layers)
  assert.equal(tokens.seen.length, 1)
  assert.equal(tokens.seen[0]?.authorization, undefined)
  assert.equal(new URLSearchParams(tokens.seen[0]?.url.split('?')[1]).get('scope'), 'repository:a:pull')

  const told = registriesOf({ plainHttp, realms: [`${registry.host}=${tokens.host}`] })
  assert.deepEqual(await pull(told, `${registry.host}/a`, credential), content.layers)
  assert.equal(tokens.seen.at(-1)?.authorization, `Basic ${encoded}`)
  // The registry gets the token alone.
  assert.ok(!registry.heard.includes(encoded))

  realm = `http://${tokens.host}/moved`
  const again = registriesOf({ plainHttp, realms: [`${registry.host}=${tokens.host}`] })
  await assertRefused(pull(again, `${registry.host}/a`, credential), /redirects a request for a token/, 'IMAGE_REGISTRY_DENIED')
  for (const each of [careful, told, again]) await each.close()
})

const badTokens: [string, Handler, RegExp][] = [
  ['endless', (_, response) => endless(response), /more than the 65536 bytes/],
  ['not JSON', (_, response) => response.end('<html>'), /no token/],
  ['with a line break', (_, response) => response.end(JSON.stringify({ token: 'a\r\nX-Evil: 1' })), /no token/],
  ['a number', (_, response) => response.end('{"token":7}'), /no token/],
  [
    'refused',
    (_, response) => response.writeHead(401, { 'www-authenticate': 'Bearer realm="x"' }).end(),
    /gives no token to an anonymous/,
  ],
]
for (const [name, handler, message] of badTokens) {
  test(`a token that is ${name}`, async () => {
    await using tokens = await Scripted.start(handler)
    await using registry = await Scripted.start((_, response) =>
      response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${tokens.host}/"` }).end(),
    )
    const registries = registriesOf({ plainHttp: [registry.host, tokens.host] })
    await assertRefused(pull(registries, `${registry.host}/a`), message)
    await registries.close()
  })
}
