// Images from real registries: Debian's docker-registry with TLS, passwords and a token service, over networks good and bad.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { RunSpec } from '../../client/sdk/model.js'
import { makeCertificates } from '../harness/certificates.js'
import { container, describeVerdict, finish } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { busybox, python } from '../harness/images.js'
import { command } from '../harness/instance.js'
import { busyProxy, cuttingProxy } from '../harness/interference.js'
import { Registry, TokenServer } from '../harness/registry.js'

const operator = { name: 'operator', password: 'operators-pass-0815' }
const tenant = { name: 'tenant', password: 'tenants-pass-4711' }
const refusals = { left: 0, given: 0 }
const cuts = { left: 0 }

let folder: string
let open: Registry
let guarded: Registry
let tokens: TokenServer
let tenants: Registry
let busy: string
let cut: string
let digest: string

const fixture = await Fixture.start({}, async () => {
  folder = await mkdtemp(join(tmpdir(), 'caisson-registries-'))
  await chmod(folder, 0o755)
  const tls = await makeCertificates(folder)
  open = await Registry.start(folder)
  guarded = await Registry.start(folder, { tls, user: operator })
  tokens = await TokenServer.start(tls, tenant)
  tenants = await Registry.start(folder, { tls, tokens })
  const between = [await busyProxy(open.port, refusals), await cuttingProxy(open.port, () => 5 << 20, cuts)]
  ;[busy, cut] = between.map(({ host }) => host) as [string, string]
  digest = await open.push(busybox, 'a/busybox:1')
  await open.push(python, 'library/python:3')
  await guarded.push(busybox, 'private/busybox:1')
  await tenants.push(busybox, 'private/busybox:1')
  const config = join(folder, 'config.json')
  const auth = Buffer.from(`${operator.name}:${operator.password}`).toString('base64')
  await writeFile(config, JSON.stringify({ auths: { [guarded.host]: { auth } } }), { mode: 0o600 })
  const plain = [open.host, busy, cut]
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
  args.push('--registry-plain-http', ...plain, '--registry-mirror', `mirrored.example=http://${open.host}`)
  const undo = async () => {
    for (const each of [...between, open, guarded, tenants, tokens]) await each.stop()
    await rm(folder, { recursive: true })
  }
  return { options: { args }, undo }
})

const cat = { args: ['cat', '/etc/group'] }
type Options = Parameters<typeof fixture.caisson.run>[1]
const run = (image: string, spec: Partial<RunSpec> = {}, options: Options = {}) =>
  finish(fixture.caisson.run(container({ ...cat, ...spec, image }), options))

async function ran(image: string, spec: Partial<RunSpec> = {}, options: Options = {}) {
  const finished = await run(image, spec, options)
  assert.equal(finished.verdict.outcome, 'EXITED', describeVerdict(finished))
  assert.equal(finished.verdict.exitCode, 0, describeVerdict(finished))
  return finished
}

async function refused(image: string, reason: string, message: RegExp, spec: Partial<RunSpec> = {}, options: Options = {}) {
  const { verdict } = await run(image, spec, options)
  assert.equal(verdict.outcome, 'IMAGE_ERROR', JSON.stringify(verdict))
  assert.equal(verdict.reason, reason, verdict.message)
  assert.equal(verdict.effect, 'NEVER_STARTED')
  assert.match(verdict.message, message)
}

test('by tag and by digest; the record keeps what the tag stood for', async () => {
  const { runId, stdout } = await ran(`${open.host}/a/busybox:1`)
  assert.match(stdout.toString(), /audio:x:29:guest/)
  assert.equal((await fixture.caisson.get(runId)).imageDigest, digest)
  await ran(`${open.host}/a/busybox@${digest}`)
  await ran(`${open.host}/a/busybox:nothing@${digest}`)
  await refused(`${open.host}/a/busybox:2`, 'IMAGE_NOT_FOUND', /\/a\/busybox:2: localhost:\d+ answered 404 MANIFEST_UNKNOWN/)
  await refused(`${open.host}/a/none`, 'IMAGE_NOT_FOUND', /answered 404/)
})

test('the command runs it as docker would', () => {
  const args = ['run', '--address', fixture.instance.address, '--isolation', 'container', '--pull', 'always', '-n']
  const printed = execFileSync(process.execPath, [command, ...args, `${open.host}/a/busybox:1`, 'echo', 'hello'], {
    encoding: 'utf8',
  })
  assert.equal(printed, 'hello\n')
})

for (const format of ['zstd', 'zstd:chunked']) {
  test(`layers compressed by ${format}`, { timeout: 60_000 }, async () => {
    await removeLayers()
    const name = `${format.replace(':', '-')}/python:3`
    await open.push(python, name, '--dest-compress-format', format)
    const { stdout, events } = await ran(`${open.host}/${name}`, { args: [], pull: 'ALWAYS' })
    assert.match(stdout.toString(), /^Python 3/)
    assert.ok(events.some(({ type }) => type === 'progress'))
  })
}

test('a private image with the credentials of the operator', async () => {
  await ran(`${guarded.host}/private/busybox:1`)
  const wrong = { registryCredential: { username: operator.name, password: 'wrong' } }
  await refused(`${guarded.host}/private/busybox:1`, 'IMAGE_UNAUTHORIZED', /answered 401/, { pull: 'ALWAYS' }, wrong)
})

test('a private image with the credentials of its run, from a token service; nobody else has it then, and nobody reads them', async () => {
  const image = `${tenants.host}/private/busybox:1`
  await refused(image, 'IMAGE_UNAUTHORIZED', /gives no token to an anonymous request/)
  const registryCredential = { username: tenant.name, password: tenant.password }
  const { runId, events } = await ran(image, {}, { registryCredential })
  const given = tokens.given
  await ran(image, { pull: 'NEVER' }, { registryCredential })
  assert.equal(tokens.given, given)
  await refused(image, 'IMAGE_NOT_PRESENT', /spec.pull is NEVER/, { pull: 'NEVER' })

  const redis = (...args: string[]) =>
    execFileSync('redis-cli', ['-s', fixture.instance.redisSocket, ...args], { encoding: 'latin1', maxBuffer: 1 << 28 })
  assert.equal(redis('--scan', '--pattern', '*:credential').trim(), '')
  const encoded = Buffer.from(`${tenant.name}:${tenant.password}`).toString('base64')
  const texts = [JSON.stringify(events), JSON.stringify(await fixture.caisson.get(runId)), fixture.instance.log()]
  // Everything that Redis was ever told: it was there, sealed.
  const files = await readdir(join(fixture.instance.folder, 'state/redis'), { recursive: true, withFileTypes: true })
  const written = await Promise.all(
    files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name), 'latin1')),
  )
  assert.ok(written.join('').includes(`${runId}:credential`))
  for (const text of [...texts, ...written, ...(await everyArgument())]) {
    assert.ok(!text.includes(tenant.password) && !text.includes(encoded) && !text.includes(operator.password))
  }
})

test('a credential goes only with an image in a registry', async () => {
  const registryCredential = { username: 'a', password: 'hush' }
  const wrong = finish(fixture.caisson.run(container({ image: busybox }), { registryCredential }))
  await assert.rejects(
    wrong,
    (error: Error) => /registry_credential is only for an image/.test(error.message) && !/hush/.test(error.message),
  )
  const bad = finish(
    fixture.caisson.run(container({ image: 'alpine' }), { registryCredential: { username: 'a:b', password: 'hu\nsh' } }),
  )
  await assert.rejects(
    bad,
    (error: Error) =>
      /registry_credential.username must be/.test(error.message) && !/sh/.test(error.message.replace(/username must.*/, '')),
  )
})

test('a mirror stands in for a registry that nobody reaches', async () => {
  await ran('mirrored.example/a/busybox:1')
})

test('a tag that is moved: IF_NOT_PRESENT, NEVER, ALWAYS', async () => {
  const image = `${open.host}/moving:latest`
  await open.push(busybox, 'moving:latest')
  await ran(image)
  await open.push(python, 'moving:latest')
  await ran(image)
  await ran(image, { pull: 'NEVER' })
  const { stdout } = await ran(image, { args: [], pull: 'ALWAYS' })
  assert.match(stdout.toString(), /^Python 3/)
})

test('a worker that was killed has its images still', async () => {
  await ran(`${open.host}/a/busybox:1`)
  await fixture.instance.killAndAwaitRestart('worker')
  await fixture.instance.ready()
  await ran(`${open.host}/a/busybox:1`, { pull: 'NEVER' })
})

test('what the worker never saw, NEVER does not find', async () => {
  await refused(`${open.host}/library/python:3`, 'IMAGE_NOT_PRESENT', /not on this worker/, { pull: 'NEVER' })
})

test('a download goes on where it was cut', { timeout: 120_000 }, async () => {
  await removeLayers()
  cuts.left = 6
  const { stdout } = await ran(`${cut}/library/python:3`, { args: [] })
  assert.match(stdout.toString(), /^Python 3/)
  assert.equal(cuts.left, 0)
})

test('a registry that is busy is asked again', async () => {
  refusals.left = 2
  await ran(`${busy}/a/busybox:1`)
  assert.equal(refusals.given, 2)
  refusals.left = Number.POSITIVE_INFINITY
  await refused(`${busy}/a/busybox:1`, 'IMAGE_RATE_LIMITED', /too many requests \(429\)/, { pull: 'ALWAYS' })
  refusals.left = 0
})

test('hosts of this network that the operator did not name are out of reach', async () => {
  for (const host of ['127.0.0.1:22', 'localhost:1', '169.254.169.254', '10.0.0.1', '[::1]:5000'])
    await refused(`${host}/a`, 'IMAGE_REGISTRY_DENIED', /has a private address, and the worker's operator did not name it/)
})

/** Behind the back of the worker, and also what was used a moment ago. */
async function removeLayers(): Promise<void> {
  const store = join(fixture.instance.folder, 'state/layers/v1')
  for (const name of await readdir(store)) if (name.endsWith('.sqfs')) await rm(join(store, name))
}

async function everyArgument(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')))
  return lines.filter((line) => line.includes(fixture.instance.name))
}
