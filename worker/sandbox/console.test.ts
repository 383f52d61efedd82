import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { GuestConsole } from './console.js'

const folder = mkdtempSync(join(tmpdir(), 'caisson-console-'))
after(() => rmSync(folder, { recursive: true }))

test('what a guest said last becomes the last cause, once', async () => {
  const path = join(folder, 'machine.log')
  writeFileSync(path, `${'x'.repeat(10_000)}\nKernel panic - not syncing: VFS\n`)
  const console = new GuestConsole(path)
  const cause = new Error('the channel ended')
  const error = new Error('no answer', { cause })
  assert.equal(await console.explain(error), error)
  await console.explain(error)
  const said = (cause.cause as Error).message
  assert.match(said, /machine\.log, ends with:\nx+\nKernel panic - not syncing: VFS\n$/)
  assert.ok(said.length < 4500)
  assert.equal((cause.cause as Error).cause, undefined)
})

test('a console that cannot be read is said to be', async () => {
  const error = new Error('no answer')
  await new GuestConsole(join(folder, 'nowhere')).explain(error)
  assert.match((error.cause as Error).message, /cannot be read: ENOENT/)
  await new GuestConsole(join(folder, 'nowhere')).explain(undefined)
  writeFileSync(join(folder, 'silent.log'), '')
  const other = new Error('no answer')
  await new GuestConsole(join(folder, 'silent.log')).explain(other)
  assert.match((other.cause as Error).message, /nothing stands in .*silent\.log/)
})
