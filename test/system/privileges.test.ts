// Only the launcher, and `up` that supervises, have root: everything that reads what clients send has nothing.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'

const fixture = await Fixture.start()

const status = (pid: number) =>
  new Map(
    readFileSync(`/proc/${pid}/status`, 'utf8')
      .split('\n')
      .map((line) => line.split(/:\s*/) as [string, string]),
  )

for (const part of ['redis', 'control', 'worker'] as const) {
  test(`${part} is an ordinary user without capabilities`, async () => {
    const process = status(await fixture.instance.pid(part))
    const uid = execFileSync('id', ['-u', 'caisson'], { encoding: 'utf8' }).trim()
    assert.deepEqual(process.get('Uid')?.split('\t'), [uid, uid, uid, uid])
    for (const set of ['CapPrm', 'CapEff', 'CapBnd', 'CapInh', 'CapAmb']) assert.equal(process.get(set), '0000000000000000', set)
    assert.equal(process.get('NoNewPrivs'), '1')
    assert.equal(process.get('Groups')?.trim().split(' ').includes('0'), false)
  })
}

test('runtime files are nobody else\u2019s', async () => {
  const { name, redisSocket } = fixture.instance
  await run(fixture.caisson, { args: ['true'] })
  const mode = (path: string) => statSync(path).mode & 0o777
  assert.equal(mode(`/run/caisson/${name}/launcher.sock`), 0o600)
  assert.equal(mode(`/run/caisson/${name}/channels`), 0o700)
  assert.equal(mode(dirname(redisSocket)), 0o700)
})

test('another user can neither read Redis nor ask the launcher', () => {
  const { name, redisSocket } = fixture.instance
  const as = (user: string, ...command: string[]) =>
    execFileSync('setpriv', ['--reuid', user, '--regid', 'nogroup', '--clear-groups', ...command], { stdio: 'pipe' })
  assert.throws(() => as('nobody', 'redis-cli', '-s', redisSocket, 'ping'), /Permission denied|Could not connect/)
  const dial = `require('net').connect('/run/caisson/${name}/launcher.sock').on('error', (e) => { console.error(e.code); process.exit(1) })`
  assert.throws(() => as('nobody', process.execPath, '-e', dial), /EACCES/)
})
