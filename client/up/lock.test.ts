import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { lock } from './lock.js'

test('one holder at a time; a socket that a dead holder left is no obstacle', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'caisson-lock-test-'))
  const path = join(folder, 'up.sock')
  const abandon = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', abandon])
  const held = await lock(path, 'the name "x"')
  await assert.rejects(lock(path, 'the name "x"'), /the name "x" is in use/)
  held.close()
  const again = await lock(path, 'the name "x"')
  again.close()
  await rm(folder, { recursive: true })
})
