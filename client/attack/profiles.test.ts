// docs/security.md counts what the filter's list says.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

interface Profile {
  allow: { when?: unknown }[]
  deny: unknown[]
  absent: unknown[]
}

const path = 'guest/agent/seccomp.json'

test(`${path} is counted right`, async () => {
  const { allow, deny, absent }: Profile = JSON.parse(await readFile(path, 'utf8'))
  const counts = [allow.length, allow.filter(({ when }) => when).length, deny.length, absent.length]
  const row = (await readFile('docs/security.md', 'utf8')).split('\n').find((line) => line.startsWith(`| \`${path}\``))
  assert.ok(row?.endsWith(`| ${counts.join(' | ')} |`), `${counts.join(' | ')} in ${row}`)
})
