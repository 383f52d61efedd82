// A watcher that does not read costs no memory, and holds nobody up.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Caisson } from '../../client/sdk/caisson.js'
import { container, finish, sh } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { memory } from '../harness/holdings.js'

const fixture = await Fixture.start()
const mebibyte = 1 << 20

test('twenty watchers that stop reading', { timeout: 180_000 }, async () => {
  const { instance, caisson } = fixture
  await finish(caisson.run(container({ args: ['true'] })))
  const before = await memory(instance)
  const output = 256 * mebibyte
  const { runId } = await caisson.submit(
    container({
      args: sh(`head -c ${output} /dev/zero`),
      limits: { outputBytes: output, wallMs: 120_000, cpuMs: 120_000 },
      retentionMs: 1000 * 60,
    }),
  )
  const lazy = Array.from({ length: 20 }, () => Caisson.connect({ address: instance.address }))
  const stopped = lazy.map((client) => client.watch(runId)[Symbol.asyncIterator]())
  for (const events of stopped) await events.next()
  const { stdout, verdict } = await finish(caisson.watch(runId))
  assert.equal(verdict.outcome, 'EXITED')
  assert.equal(stdout.length, output)
  await sleep(500)
  const now = await memory(instance)
  for (const part of ['control', 'worker'] as const) {
    const grown = (now[part] - before[part]) / mebibyte
    assert.ok(grown < 64 + 20 * 4, `${part} grew by ${grown} MiB`)
  }
  // They may still have all of it.
  const late = stopped[0]
  let bytes = 0
  for (let next = await late?.next(); next && !next.done; next = await late?.next())
    if (next.value.type === 'output') bytes += next.value.data.length
  assert.ok(bytes >= output - 256 * 1024, `${bytes}`)
  for (const client of lazy) client.close()
})
