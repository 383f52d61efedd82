// Off this machine only with TLS and a token.

import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { Caisson } from '../../client/sdk/caisson.js'
import type { CaissonError } from '../../client/sdk/error.js'
import { freePort } from '../../client/up/port.js'
import { run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { command } from '../harness/instance.js'

const token = 'correct-horse-battery-staple-0123456789'
const folder = mkdtempSync(join(tmpdir(), 'caisson-t-tls-'))
const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1']
const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
execFileSync('openssl', [...request, '-keyout', key, '-out', cert, ...names], { stdio: 'ignore' })
writeFileSync(join(folder, 'token'), `${token}\n`, { mode: 0o600 })
const ca = readFileSync(cert)
const port = await freePort()

const fixture = await Fixture.start({
  listen: `0.0.0.0:${port}`,
  args: ['--tls-cert', cert, '--tls-key', key, '--token-file', join(folder, 'token')],
  connect: { address: `localhost:${port}`, ca, token },
})
const { instance } = fixture
after(() => rmSync(folder, { recursive: true }))

test('with certificate and token a run goes through', async () => {
  assert.equal((await run(instance.caisson, { args: ['true'] })).verdict.outcome, 'EXITED')
})

test('without the token, or with another, every call is refused', async () => {
  for (const wrong of [undefined, '', `${token}x`, token.slice(1)]) {
    using client = Caisson.connect({ address: `localhost:${port}`, ca, ...(wrong === undefined ? {} : { token: wrong }) })
    const refused = (error: CaissonError) => error.code === 'UNAUTHENTICATED' && error.reason === 'TOKEN_REFUSED'
    await assert.rejects(client.workers(), refused)
    await assert.rejects(client.submit({ image: 'oci:/x', args: ['true'] }), refused)
    await assert.rejects(client.watch(`r${'0'.repeat(25)}`).verdict(), refused)
  }
})

test('plain text is not spoken to', async () => {
  using client = Caisson.connect({ address: `localhost:${port}`, tls: false, timeoutMs: 5000 })
  await assert.rejects(client.workers())
})

test('it does not listen elsewhere without TLS and a token', async () => {
  for (const args of [[], ['--token-file', join(folder, 'token')]]) {
    const up = promisify(execFile)(
      process.execPath,
      [
        command,
        'up',
        '--name',
        `${instance.name}-no`,
        '--state',
        join(folder, 'state'),
        '--listen',
        `0.0.0.0:${await freePort()}`,
        ...args,
      ],
      { timeout: 20_000 },
    )
    await assert.rejects(up, (error: { code: number; stderr: string; killed: boolean }) => {
      assert.equal(error.killed, false, 'it was refused, not left running')
      assert.match(error.stderr, /TLS|token/i)
      return true
    })
  }
})
