// The parts that need no network: addresses, flags, credentials, realms, waits.
import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { isPublic } from './addresses.js'
import { Credential } from './credential.js'
import { Keyring, KeyringError, parseKeyring } from './keyring.js'
import { endpointsOf, RegistryFlagError, registryOptions } from './options.js'
import { mayHaveCredentials } from './realm.js'
import { retryAfter } from './retry.js'

test('only addresses of the public network are public', () => {
  const ours = `0.0.0.0 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.255 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.168.1.1
    198.18.0.1 198.19.255.255 224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::127.0.0.1 fc00::1 fd00:ec2::254
    fe80::1 ff02::1 2001:db8::1 2002:7f00:1:: 64:ff9b::10.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::1 100::1 3fff::1 2001::1`
  for (const address of ours.split(/\s+/)) assert.equal(isPublic(address), false, address)
  const theirs =
    '1.1.1.1 8.8.8.8 172.15.255.255 172.32.0.0 192.167.255.255 100.63.255.255 100.128.0.0 223.255.255.255 2606:4700::1 64:ff9b::8.8.8.8'
  for (const address of theirs.split(' ')) assert.equal(isPublic(address), true, address)
})

test('mirrors come before the registry; Docker has an API host of its own', () => {
  const flags = { mirrors: ['docker.io=https://m.example/hub', 'r.example=http://p.example:80'], plainHttp: ['p.example'] }
  const options = registryOptions(flags, {})
  assert.deepEqual(endpointsOf('docker.io', options), [
    { origin: 'https://m.example', registry: 'm.example', prefix: 'hub/', isMirror: true },
    { origin: 'https://registry-1.docker.io', registry: 'docker.io', prefix: '', isMirror: false },
  ])
  assert.deepEqual(
    endpointsOf('r.example', options).map(({ origin }) => origin),
    ['http://p.example', 'https://r.example'],
  )
  assert.equal(endpointsOf('p.example', options)[0]?.origin, 'http://p.example')
  assert.ok(options.named.has('m.example'))
  assert.ok(!options.named.has('r.example'))
})

const wrongFlags: [Parameters<typeof registryOptions>[0], RegExp][] = [
  [{ mirrors: ['docker.io'] }, /must be HOST=URL/],
  [{ mirrors: ['docker.io=x'] }, /must be HOST=URL|must be https|URL/],
  [{ mirrors: ['docker.io=http://m.example'] }, /--registry-plain-http m.example/],
  [{ mirrors: ['docker.io=https://user:secret@m.example'] }, /no more than scheme/],
  [{ plainHttp: ['http://x'] }, /HOST\[:PORT\]/],
  [{ allow: ['a b'] }, /HOST\[:PORT\]/],
  [{ realms: ['a'] }, /HOST=HOST/],
  [{ caFile: '/nowhere' }, /cannot be read/],
]
for (const [flags, message] of wrongFlags) {
  test(`refuses ${JSON.stringify(flags)}`, () => {
    assert.throws(
      () => registryOptions(flags, {}),
      (error: unknown) => error instanceof RegistryFlagError && message.test(error.message),
    )
  })
}

test('proxies come from the environment; a wrong one is not repeated', () => {
  const { proxies } = registryOptions({}, { HTTPS_PROXY: 'http://p:1', http_proxy: 'q:2', NO_PROXY: 'a,b' })
  assert.deepEqual(proxies, { http: 'http://q:2', https: 'http://p:1', exceptions: 'a,b' })
  assert.throws(() => registryOptions({}, { https_proxy: 'socks://user:secret@p' }), /^(?!.*secret).*https_proxy/)
})

test('credentials go to token services on, above or below the registry, or where the operator says', () => {
  const options = registryOptions({ realms: ['a.example=auth.other'] }, {})
  const may = (registry: string, realm: string) =>
    mayHaveCredentials(new URL(realm), { registry, origin: '', prefix: '', isMirror: false }, options)
  for (const [registry, realm] of [
    ['docker.io', 'https://auth.docker.io/token'],
    ['registry.gitlab.com', 'https://gitlab.com/jwt/auth'],
    ['ghcr.io', 'https://ghcr.io/token'],
    ['localhost:5000', 'https://localhost:5001/token'],
    ['a.example', 'https://auth.other/token'],
  ] as const)
    assert.ok(may(registry, realm), `${registry} ${realm}`)
  for (const [registry, realm] of [
    ['docker.io', 'https://auth.docker.io.evil.example/'],
    ['docker.io', 'https://evildocker.io/'],
    ['a.github.io', 'https://b.github.io/'],
    ['a.example', 'https://example/'],
    ['b.example', 'https://auth.other/token'],
    ['10.0.0.1', 'https://10.0.0.2/'],
    ['1.10.0.0.1.example', 'https://10.0.0.1/'],
  ] as const)
    assert.ok(!may(registry, realm), `${registry} ${realm}`)
})

test('the file of docker login is read, and read again when it changes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'caisson-keyring-'))
  const file = join(folder, 'config.json')
  const auth = (text: string) => Buffer.from(text).toString('base64')
  await writeFile(
    file,
    JSON.stringify({ auths: { 'https://index.docker.io/v1/': { auth: auth('u:p:q') }, 'r.example:5000': {} } }),
  )
  const keyring = new Keyring(file)
  assert.equal((await keyring.of('docker.io'))?.basic, `Basic ${auth('u:p:q')}`)
  assert.equal(await keyring.of('r.example:5000'), undefined)
  await writeFile(file, JSON.stringify({ auths: { 'r.example:5000': { identitytoken: 'it' } } }))
  assert.equal((await keyring.of('r.example:5000'))?.refreshToken, 'it')
  assert.equal(await keyring.of('docker.io'), undefined)
  await rm(folder, { recursive: true })
})

test('a broken file is told without its content', () => {
  assert.throws(
    () => parseKeyring('{"auths": secret', 'f'),
    (error: Error) => error instanceof KeyringError && !/secret/.test(error.message),
  )
  const broken = JSON.stringify({ auths: { x: { auth: 'c2VjcmV0' } } })
  assert.throws(
    () => parseKeyring(broken, 'f'),
    (error: Error) => error instanceof KeyringError && !/secret|c2Vj/.test(error.message),
  )
  assert.throws(() => parseKeyring('{"credsStore":"../../bin/sh"}', 'f'), KeyringError)
})

test('a helper is asked for its host, once in a while', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'caisson-helper-'))
  const script = `#!/bin/sh\nread host\necho "$host" >> ${folder}/asked\ncase $host in
    r.example) echo '{"ServerURL":"r.example","Username":"u","Secret":"s"}' ;;
    t.example) echo '{"Username":"<token>","Secret":"it"}' ;;
    none.example) echo 'credentials not found in native keychain'; exit 1 ;;
    *) echo 'Secret: hush' >&2; echo hush; exit 3 ;; esac\n`
  await writeFile(join(folder, 'docker-credential-caissontest'), script)
  await chmod(join(folder, 'docker-credential-caissontest'), 0o755)
  await writeFile(join(folder, 'config.json'), '{"credHelpers":{"r.example":"caissontest"},"credsStore":"caissontest"}')
  const { PATH } = process.env
  process.env['PATH'] = `${folder}:${PATH}`
  try {
    const keyring = new Keyring(join(folder, 'config.json'))
    assert.equal((await keyring.of('r.example'))?.basic, `Basic ${Buffer.from('u:s').toString('base64')}`)
    assert.equal((await keyring.of('r.example'))?.basic, `Basic ${Buffer.from('u:s').toString('base64')}`)
    assert.equal((await keyring.of('t.example'))?.refreshToken, 'it')
    assert.equal(await keyring.of('none.example'), undefined)
    await assert.rejects(
      keyring.of('x.example'),
      (error: Error) => /failed \(3\)/.test(error.message) && !/hush/.test(error.message),
    )
    const { readFile } = await import('node:fs/promises')
    assert.equal((await readFile(join(folder, 'asked'), 'utf8')).match(/r\.example/g)?.length, 1)
  } finally {
    process.env['PATH'] = PATH
    await rm(folder, { recursive: true })
  }
})

test('a credential shows itself to nobody', () => {
  const credential = Credential.password('user', 'hush')
  const shown = `${inspect(credential, { showHidden: true, depth: 9 })}${JSON.stringify(credential)}${String(credential)}`
  assert.doesNotMatch(shown, /hush|user/)
  assert.notEqual(credential.fingerprint, Credential.password('user', 'other').fingerprint)
  assert.notEqual(Credential.password('', 't').fingerprint, Credential.identityToken('t').fingerprint)
  assert.equal(credential.fingerprint, Credential.password('user', 'hush').fingerprint)
})

test('Retry-After is seconds or a date', () => {
  const now = Date.UTC(2026, 0, 1)
  assert.equal(retryAfter('3', now), 3000)
  assert.equal(retryAfter('Thu, 01 Jan 2026 00:00:05 GMT', now), 5000)
  assert.equal(retryAfter('Thu, 01 Jan 2020 00:00:05 GMT', now), 0)
  for (const text of ['', '-1', 'soon', '1e9', '2026-01-01', undefined]) assert.equal(retryAfter(text, now), undefined)
})
