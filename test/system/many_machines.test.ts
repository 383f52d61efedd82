// Many runs in microVMs, in a row and at once, leave everything as it was; and a machine that waits leaves the processor alone. The soak
// does 500 in a row, then eight lanes of ten, and looks at machines that wait for half a minute.

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunSpec } from '../../client/sdk/model.js'
import { finish } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { expectSameHoldings, holdings, memory, untilMemoryIsAsItWas } from '../harness/holdings.js'
import { busybox } from '../harness/images.js'
import { vmms } from '../harness/machines.js'
import { noMachine } from '../harness/offers.js'
import { until } from '../harness/until.js'

const inARow = Number(process.env['CAISSON_TEST_MACHINES_IN_A_ROW'] ?? 4)
const [lanes, inALane] = (process.env['CAISSON_TEST_MACHINE_LANES'] ?? '3x1').split('x').map(Number)
const idleMs = Number(process.env['CAISSON_TEST_MACHINES_IDLE_MS'] ?? 3_000)
/** Of one core. */
const mostIdleShare = 0.01
const mib = 1 << 20
/** On a machine that does other things too. */
const patienceMs = 600_000 + 5_000 * (inARow + (lanes ?? 0) * (inALane ?? 0))

const fixture = await Fixture.start({ args: ['--allow-emulation', '--pool', '1'] })
const { instance, caisson } = fixture
const skip = await noMachine(caisson)

const spec: RunSpec = {
  image: busybox,
  args: ['true'],
  isolation: 'MICROVM_REQUIRED',
  limits: { memoryBytes: 16 * mib, diskBytes: 16 * mib },
  retentionMs: 1000,
}

async function one(): Promise<void> {
  const { verdict } = await finish(caisson.run(spec))
  assert.equal(verdict.outcome, 'EXITED', verdict.message)
}

async function row(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await one()
}

const inLanes = (count = inALane) => Promise.all(Array.from({ length: lanes ?? 1 }, () => row(count ?? 1)))

test(`${inARow} runs in a row and ${lanes} at once, each in a machine of its own`, { skip, timeout: patienceMs }, async () => {
  await row(3)
  await inLanes(1)
  const [held, used] = [await holdings(instance), await memory(instance)]
  await row(inARow)
  await inLanes()
  await expectSameHoldings(instance, held)
  await untilMemoryIsAsItWas(instance, used)
})

test('a machine that waits leaves the processor alone', { skip, timeout: 60_000 + 11 * idleMs }, async () => {
  let shares: number[] = []
  // One that has just begun to wait rehearses first.
  await until('they rest', 10 * idleMs, async () => {
    shares = await idleShares()
    return shares.length > 0 && shares.every((share) => share < mostIdleShare)
  }).catch((error) => assert.fail(`${error}: ${shares.map((share) => (100 * share).toFixed(2))} % of a core`))
})

/** Of those that wait for a while: one may be taken, or give way, and then another comes. */
async function idleShares(): Promise<number[]> {
  const waiting = await vmms(instance)
  const before = await Promise.all(waiting.map(processorMs))
  const since = performance.now()
  await sleep(idleMs)
  const after = await Promise.all(waiting.map(processorMs))
  const tookMs = performance.now() - since
  return after.flatMap((ms, index) => {
    const since = before[index]
    return ms === undefined || since === undefined ? [] : [(ms - since) / tookMs]
  })
}

/** Of all its threads, finer than the kernel's ticks; undefined when it is gone. */
async function processorMs(pid: number): Promise<number | undefined> {
  const folder = `/proc/${pid}/task`
  const threads = await readdir(folder).catch(() => [])
  const read = (thread: string) => readFile(`${folder}/${thread}/schedstat`, 'utf8').catch(() => undefined)
  const texts = (await Promise.all(threads.map(read))).flatMap((text) => text ?? [])
  return texts.length === 0 ? undefined : texts.reduce((sum, text) => sum + Number(text.split(' ')[0]) / 1e6, 0)
}
