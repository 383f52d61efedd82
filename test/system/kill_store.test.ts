// kill -9 of worker, launcher or converter at any moment of pulls and conversions: the store is sound afterwards, holds nothing else, and
// every image runs. CAISSON_TEST_KILLS: how often.

import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeVerdict, run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { expectSameHoldings, holdings } from '../harness/holdings.js'
import { cmdline, fleetingChildrenOf } from '../harness/processes.js'
import { Registry } from '../harness/registry.js'
import { imageOf, Store } from '../harness/store.js'
import { until } from '../harness/until.js'

const kills = Number(process.env['CAISSON_TEST_KILLS'] ?? 10)
const victims = ['worker', 'launcher', 'converter'] as const
const mib = 1 << 20

let folder: string
let registry: Registry

const fixture = await Fixture.start({}, async () => {
  folder = await mkdtemp(join(tmpdir(), 'caisson-kill-store-'))
  await chmod(folder, 0o755)
  registry = await Registry.start(folder)
  const undo = async () => {
    await registry.stop()
    await rm(folder, { recursive: true })
  }
  return { options: { args: ['--registry-plain-http', registry.host] }, undo }
})
const { instance, caisson } = fixture
const store = new Store(join(instance.folder, 'state'), instance)

/** From a registry and from a folder, sharing nothing but the layer of the shell. */
async function makeImages(): Promise<string[]> {
  const sizes = [2 * mib, mib, 6 * mib]
  const [pushed, local] = [
    await imageOf(join(instance.folder, 'images'), sizes),
    await imageOf(join(instance.folder, 'images'), sizes),
  ]
  await registry.push(`${pushed}:latest`, 'some/image:1')
  return [`${registry.host}/some/image:1`, local]
}

const start = (image: string) => run(caisson, { image, args: ['true'], waitForWorker: true })

/** As they come and go; each lives for some hundredths of a second. */
async function killConverter(): Promise<boolean> {
  const launcher = await instance.pid('launcher')
  for (const deadline = Date.now() + 5000; Date.now() < deadline; ) {
    for (const pid of await fleetingChildrenOf(launcher)) {
      if (!(await cmdline(pid)).startsWith('caisson-converter')) continue
      await sleep(Math.random() * 10)
      try {
        return process.kill(pid, 'SIGKILL')
      } catch {
        // It is done by now: then the next one.
      }
    }
  }
  return false
}

async function kill(victim: (typeof victims)[number], afterMs: number): Promise<boolean> {
  if (victim === 'converter') return killConverter()
  await sleep(afterMs)
  await instance.killAndAwaitRestart(victim)
  return true
}

test(`${kills} times kill -9 during pulls and conversions`, { timeout: kills * 60_000 }, async (t) => {
  const images = await makeImages()
  const begin = Date.now()
  for (const finished of await Promise.all(images.map(start)))
    assert.equal(finished.verdict.outcome, 'EXITED', describeVerdict(finished))
  const tookMs = Date.now() - begin
  const before = await holdings(instance)
  const killed = { worker: 0, launcher: 0, converter: 0 }
  for (let count = 0; count < kills; count++) {
    const victim = victims[count % victims.length] as (typeof victims)[number]
    const afterMs = Math.random() * tookMs
    const about = (what: string) => `kill ${count + 1}, of the ${victim} after ${Math.round(afterMs)} of ${tookMs} ms: ${what}`
    await until('nothing holds a layer', 10_000, async () => {
      await store.upkeep.removeUnused()
      return (await store.upkeep.keys()).length === 0
    })
    const runs = images.map(start)
    if (await kill(victim, afterMs)) killed[victim]++
    for (const finished of await Promise.all(runs))
      assert.notEqual(finished.verdict.outcome, 'IMAGE_ERROR', about(describeVerdict(finished)))
    await instance.ready()
    for (const image of images) {
      const finished = await start(image)
      assert.equal(finished.verdict.outcome, 'EXITED', about(describeVerdict(finished)))
    }
    await store.expectSound().catch((error) => assert.fail(about(error.message)))
  }
  await expectSameHoldings(instance, before)
  t.diagnostic(`killed: ${JSON.stringify(killed)}`)
  for (const victim of victims) assert.ok(killed[victim] > 0, `no ${victim} was killed`)
})
