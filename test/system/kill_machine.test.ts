// kill -9 of QEMU, of the worker and of the launcher while machines boot and run: each run reaches one true verdict, and nothing of a machine
// remains. CAISSON_TEST_KILLS sets how many more die at some moment of a run's life (none here; npm run soak).

import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunSpec } from '../../client/sdk/model.js'
import { expectTrueEffect, talk } from '../harness/crowd.js'
import { describeVerdict, type Finished, finish, run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { expectSameHoldings, holdings } from '../harness/holdings.js'
import { busybox } from '../harness/images.js'
import { vmms } from '../harness/machines.js'
import { knownOffers } from '../harness/offers.js'
import { until } from '../harness/until.js'

const kills = Number(process.env['CAISSON_TEST_KILLS'] ?? 0)
const mib = 1 << 20
const { instance, caisson } = await Fixture.start({ args: ['--allow-emulation', '--machine-memory-bytes', '0'] })

const spec: RunSpec = {
  image: busybox,
  args: talk(7),
  isolation: 'MICROVM_REQUIRED',
  waitForWorker: true,
  limits: { memoryBytes: 16 * mib, diskBytes: 16 * mib },
}

const victims = {
  vmm: async () => {
    for (const pid of await vmms(instance)) process.kill(pid, 'SIGKILL')
  },
  worker: () => instance.killAndAwaitRestart('worker'),
  launcher: () => instance.killAndAwaitRestart('launcher'),
}
type Victim = keyof typeof victims
const names = Object.keys(victims) as Victim[]

await knownOffers(caisson)
for (const warm of [spec, { ...spec, isolation: 'CONTAINER' as const }])
  assert.equal((await finish(caisson.run(warm))).verdict.outcome, 'EXITED')
const before = await holdings(instance)
const socketsBefore = await sockets()

for (const victim of names) {
  test(`kill -9 of the ${victim} while one machine runs and another boots`, { timeout: 180_000 }, async () => {
    const running = await submit()
    await until('one runs', 60_000, async () => (await caisson.get(running.runId)).state === 'RUNNING')
    const held = (await vmms(instance)).length
    const booting = await submit()
    await until('another boots', 30_000, async () => (await vmms(instance)).length > held)
    await victims[victim]()
    const first = await running.finished
    expectTrue(first)
    assert.notEqual(first.verdict.effect, 'NEVER_STARTED', describeVerdict(first))
    expectTrue(await booting.finished)
    await expectNothingLeft()
  })
}

for (let kill = 0; kill < kills; kill++) {
  const victim = names[kill % names.length] ?? 'vmm'
  // From before its machine boots to after its end, and no two alike.
  const delayMs = 100 + Math.floor((7_000 * kill) / kills)
  test(`kill -9 of the ${victim} after ${delayMs} ms`, { timeout: 180_000 }, async () => {
    const { finished } = await submit()
    await sleep(delayMs)
    await victims[victim]()
    expectTrue(await finished)
    await expectNothingLeft()
  })
}

async function submit(): Promise<{ runId: string; finished: Promise<Finished> }> {
  const { runId } = await caisson.submit(spec)
  const finished = finish(caisson.watch(runId))
  finished.catch(() => {})
  return { runId, finished }
}

/** UNKNOWN is for those whose record says that they may have started, and no others: a machine that only boots has run nothing. */
function expectTrue(finished: Finished): void {
  expectTrueEffect(finished)
  const { events, verdict } = finished
  const may = events.some((event) => event.type === 'state' && (event.state === 'STARTING' || event.state === 'RUNNING'))
  assert.ok(verdict.effect !== 'UNKNOWN' || may, describeVerdict(finished))
  if (verdict.effect === 'COMPLETED') assert.equal(verdict.exitCode, 7)
}

async function expectNothingLeft(): Promise<void> {
  await knownOffers(caisson)
  // A launcher that is new mounts a layer again when a container wants it.
  assert.equal((await run(caisson, { args: ['true'], waitForWorker: true })).verdict.outcome, 'EXITED')
  await expectSameHoldings(instance, before, 40_000)
  assert.equal(await sockets(), socketsBefore)
}

/** Of channels: of the sandboxes that wait, and of no machine. */
async function sockets(): Promise<number> {
  return (await readdir(`/run/caisson/${instance.name}/channels`)).length
}
