// docs/security.md counts what the filters' lists say.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

interface Entry {
  name: string
  reason: string
  when?: unknown
}

interface List {
  allow: Entry[]
  deny: Entry[]
  absent: Entry[]
}

/** Each list, and whose calls it holds down. */
const lists = {
  'guest/agent/seccomp.json': 'programs of clients',
  'native/launcher/vmm.seccomp.json': 'QEMU, whose own sandbox stands on top',
  'native/converter/seccomp.json': 'the converter, once it waits for a layer',
  'native/lister/seccomp.json': 'the lister, before it reads a layer',
  'native/launcher/redis.seccomp.json': 'Redis of `caisson up`, before its first instruction',
}

const read = async (path: string): Promise<List> => JSON.parse(await readFile(path, 'utf8'))

test('the table in docs/security.md is what the lists say', async () => {
  const rows = Object.entries(lists).map(async ([path, whose]) => {
    const { allow, deny, absent } = await read(path)
    const counts = [allow.length, allow.filter(({ when }) => when).length, deny.length, absent.length]
    return `| \`${path}\` | ${whose} | ${counts.join(' | ')} |`
  })
  const table = (await Promise.all(rows)).join('\n')
  assert.ok((await readFile('docs/security.md', 'utf8')).includes(table), `docs/security.md must have these rows:\n${table}`)
})

for (const path of Object.keys(lists)) {
  test(`${path} gives each call once, with a reason`, async () => {
    const { allow, deny, absent } = await read(path)
    const names = new Set<string>()
    for (const { name, reason } of [...allow, ...deny, ...absent]) {
      assert.ok(reason.length > 8, `${name} has no reason`)
      assert.ok(!names.has(name), `${name} comes twice`)
      names.add(name)
    }
  })
}
