// kill -9 of QEMU, of the worker and of the launcher at each stage of a machine's life: each run reaches one true verdict, and nothing of a
// machine remains. CAISSON_TEST_KILLS: how often (5 is each stage once, 15 each with each victim; npm run soak: 50).

import assert from 'node:assert/strict'
import { readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { RunEvent, RunSpec } from '../../client/sdk/model.js'
import { resolveLimits } from '../../proto/limits.js'
import { guestMemory, shapeOf } from '../../worker/sandbox/shape.js'
import { expectTrueEffect, talk } from '../harness/crowd.js'
import { describeVerdict, type Finished, finish, run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { expectSameHoldings, type Holdings, holdings } from '../harness/holdings.js'
import { busybox } from '../harness/images.js'
import { vmms } from '../harness/machines.js'
import { knownOffers } from '../harness/offers.js'
import { cmdline, fleetingChildrenOf } from '../harness/processes.js'
import { until } from '../harness/until.js'

const kills = Number(process.env['CAISSON_TEST_KILLS'] ?? 5)
const mib = 1 << 20
/** Of two sizes of machines, and one or two processors: four shapes, of which a template of one gives way to that of the next. */
const sizes = [16, 40].map((size) => size * mib)
const largest = guestMemory(Math.max(...sizes))
/** Room for the machine that always waits, its template, and that of one more shape: so each run restores a machine of its own. */
const room = shapeOf(resolveLimits({}, {}), 0).memoryBytes + largest + 64 * mib
const { instance, caisson } = await Fixture.start({ args: ['--allow-emulation', '--machine-memory-bytes', String(room)] })

function spec(shape: number): RunSpec {
  const limits = { memoryBytes: sizes[shape % 2] ?? 0, cpuMillis: shape < 2 ? 1000 : 2000, diskBytes: 16 * mib }
  return { image: busybox, args: talk(7), isolation: 'MICROVM_REQUIRED', waitForWorker: true, limits }
}

const victims = {
  vmm: async () => {
    for (const pid of await vmms(instance)) process.kill(pid, 'SIGKILL')
  },
  worker: () => instance.killAndAwaitRestart('worker'),
  launcher: () => instance.killAndAwaitRestart('launcher'),
}

/** Each resolves when the run is there. */
const stages = {
  'its template is made': () => vmmThat((words) => words.includes('share=on')),
  'it is restored': () => vmmThat((words) => words.includes('-incoming')),
  'it mounts': () => vmmThat(async (_, pid) => (await openFiles(pid)).some((path) => path.includes('/layers/'))),
  'it runs': (runId: string) => eventOf(runId, (event) => event.type === 'state' && event.state === 'RUNNING'),
  'it ends': (runId: string) => eventOf(runId, (event) => event.type === 'output' && event.data.includes('line 29\n')),
}
type Stage = keyof typeof stages
const hasStarted: Stage[] = ['it runs', 'it ends']
const hasNotStarted: Stage[] = ['its template is made', 'it is restored']

const [stageNames, victimNames] = [Object.keys(stages) as Stage[], Object.keys(victims) as (keyof typeof victims)[]]
const at = <T>(list: T[], index: number): T => list[index % list.length] as T

/** At the most: a folder in each of v1's three controllers and in v2's tree; and what the launcher has open for it, as counted. */
const ofAMachine = { cgroups: 4, descriptors: 10 }

await knownOffers(caisson)
await settle()
const before = withOneMoreMachine(await holdings(instance))
const filesBefore = await files()

for (let kill = 0; kill < kills; kill++) {
  const [stage, victim] = [at(stageNames, kill), at(victimNames, kill)]
  test(`kill -9 of the ${victim} while ${stage}`, { timeout: 180_000 }, async () => {
    // A shape that has no template: not the first, which ran last.
    const shape = stage === 'its template is made' ? 1 + (Math.floor(kill / stageNames.length) % 3) : 0
    const { runId } = await caisson.submit(spec(shape))
    const finished = finish(caisson.watch(runId))
    finished.catch(() => {})
    await stages[stage](runId)
    await victims[victim]()
    expectTrue(await finished, stage)
    await expectNothingLeft()
  })
}

/** UNKNOWN is for those whose record says that they may have started, and no others: a machine that only boots has run nothing. */
function expectTrue(finished: Finished, stage: Stage): void {
  expectTrueEffect(finished)
  const { events, verdict } = finished
  const may = events.some((event) => event.type === 'state' && (event.state === 'STARTING' || event.state === 'RUNNING'))
  assert.ok(verdict.effect !== 'UNKNOWN' || may, describeVerdict(finished))
  if (verdict.effect === 'COMPLETED') assert.equal(verdict.exitCode, 7)
  if (hasStarted.includes(stage)) assert.notEqual(verdict.effect, 'NEVER_STARTED', describeVerdict(finished))
  if (hasNotStarted.includes(stage)) assert.notEqual(verdict.effect, 'UNKNOWN', describeVerdict(finished))
}

/** A launcher that is new mounts a layer again when a container wants it, and makes templates again. */
async function settle(): Promise<void> {
  for (const again of [
    { ...spec(0), args: ['true'] },
    { args: ['true'], waitForWorker: true },
  ])
    assert.equal((await run(caisson, again)).verdict.outcome, 'EXITED')
}

/** Of two kinds of machines one waits, or both: that depends on which had room when another was killed. What stays of each kill still adds up. */
function withOneMoreMachine(held: Holdings): Holdings {
  const { launcher } = held.descriptors
  return {
    ...held,
    vmms: held.vmms + 1,
    cgroups: held.cgroups + ofAMachine.cgroups,
    descriptors: { ...held.descriptors, launcher: launcher + ofAMachine.descriptors },
  }
}

async function expectNothingLeft(): Promise<void> {
  await knownOffers(caisson)
  await settle()
  await until('no template is being made', 60_000, templatesAreMade)
  await expectSameHoldings(instance, before, 40_000)
  assert.deepEqual(await files(), filesBefore)
}

/** One that is cut short is not tried again for a minute, in which there is room for other machines: that is another test's business. */
async function templatesAreMade(): Promise<boolean> {
  const machines = await Promise.all((await vmms(instance)).map(cmdline))
  return machines.every((words) => !words.includes('share=on'))
}

/** Of the run's own machine: the one that waits is larger. */
async function vmmThat(isSo: (words: string, pid: number) => boolean | Promise<boolean>): Promise<void> {
  const launcher = await instance.pid('launcher')
  const deadline = Date.now() + 60_000
  for (;;) {
    for (const pid of await fleetingChildrenOf(launcher)) {
      const words = await cmdline(pid)
      const memory = Number(/ -m (\d+)M /.exec(words)?.[1] ?? Number.NaN)
      if (memory * mib <= largest && (await isSo(words, pid))) return
    }
    if (Date.now() > deadline) throw new Error('no VMM came to this stage')
    await turn()
  }
}

async function eventOf(runId: string, isIt: (event: RunEvent) => boolean): Promise<void> {
  for await (const event of caisson.watch(runId)) if (isIt(event)) return
}

/** What an instance has beside what holdings() counts: sockets of channels, memory of templates, and whatever lies in its folders. */
async function files(): Promise<Record<string, number>> {
  const folders = [`/run/caisson/${instance.name}`, join(instance.folder, 'state')]
  const found = await Promise.all(folders.map((folder) => readdir(folder, { recursive: true, withFileTypes: true })))
  const counted: Record<string, number> = { templates: await templateFiles() }
  for (const { parentPath } of found.flat()) counted[parentPath] = (counted[parentPath] ?? 0) + 1
  // One of each machine that waits.
  const channels = `/run/caisson/${instance.name}/channels`
  counted[channels] = (counted[channels] ?? 0) - (await vmms(instance)).length
  return counted
}

async function templateFiles(): Promise<number> {
  const open = await openFiles(await instance.pid('launcher'))
  return open.filter((path) => path.startsWith('/memfd:template-')).length
}

async function openFiles(pid: number): Promise<string[]> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => [])
  return Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')))
}
