// Guest root against its host: a guest whose first program is the attacker (test/harness/hostile/guest.c). Each run ends with a verdict in
// bounded time, and nothing of it remains.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Outcome } from '../../client/sdk/model.js'
import { describeVerdict, finish, run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { expectSameHoldings, holdings } from '../harness/holdings.js'
import { hostileGuest } from '../harness/hostile.js'
import { busybox } from '../harness/images.js'
import { knownOffers } from '../harness/offers.js'

const mib = 1 << 20
/** Boot and all else around the program, emulated, on a machine that does other things too. */
const patienceMs = 60_000
const { instance, caisson } = await Fixture.start({}, () => hostileGuest())
await knownOffers(caisson)
await attack('write-layers', ['EXITED'])
await run(caisson, { args: ['true'] })
const layersBefore = await layers()
const before = await holdings(instance)

/** What ends it where the host sees no more than a guest that says nothing: the clock. */
const silent: Outcome[] = ['WALL_TIMEOUT']
const broken: Outcome[] = ['INTERNAL']
const attacks: Record<string, Outcome[]> = {
  'write-layers': ['EXITED'],
  'fill-scratch': ['EXITED', 'WALL_TIMEOUT'],
  stranger: broken,
  'ready-unasked': broken,
  gap: broken,
  garbage: broken,
  oversize: broken,
  zeros: broken,
  half: silent,
  silence: silent,
  halt: silent,
  flood: broken,
  crumbs: ['INTERNAL', 'OUTPUT_LIMIT', 'WALL_TIMEOUT', 'CPU_TIMEOUT'],
  spin: ['WALL_TIMEOUT', 'CPU_TIMEOUT'],
  reboot: broken,
  'power-off': ['INTERNAL', 'WALL_TIMEOUT'],
  panic: broken,
  sysrq: broken,
  exit: broken,
  console: ['EXITED'],
  memory: ['INTERNAL', 'OOM_KILLED', 'WALL_TIMEOUT'],
}

test('each attack ends in its own machine', { timeout: 600_000, concurrency: 2 }, async (context) => {
  const each = Object.entries(attacks).map(([name, outcomes]) =>
    context.test(name, async () => {
      const finished = await attack(name, outcomes)
      assert.ok(outcomes.includes(finished.verdict.outcome), describeVerdict(finished))
    }),
  )
  await Promise.all(each)
})

test('the host is as it was', { timeout: 120_000 }, async () => {
  assert.equal((await run(caisson, { args: ['true'] })).verdict.outcome, 'EXITED')
  assert.deepEqual(await layers(), layersBefore)
  await expectSameHoldings(instance, before)
})

async function attack(name: string, outcomes: Outcome[]) {
  // Only those that do not end otherwise are to meet it.
  const wallMs = outcomes.includes('WALL_TIMEOUT') ? 3_000 : 30_000
  const limits = { memoryBytes: 64 * mib, diskBytes: 16 * mib, wallMs }
  const spec = { image: busybox, args: [name], isolation: 'MICROVM_REQUIRED' as const, limits }
  return finish(caisson.run(spec, { signal: AbortSignal.timeout(patienceMs) }))
}

/** Hash of every layer of the store. */
async function layers(): Promise<Record<string, string>> {
  const folder = join(instance.folder, 'state/layers/v1')
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sqfs')).sort()
  assert.ok(names.length > 0)
  const hashed = names.map(async (name) => [
    name,
    createHash('sha256')
      .update(await readFile(join(folder, name)))
      .digest('hex'),
  ])
  return Object.fromEntries(await Promise.all(hashed))
}
