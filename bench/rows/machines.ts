// /bin/true in a microVM, by how much of the machine was ready, beside a bare QEMU that does less: no service, no jail, no disks, no program.

import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunSpec } from '../../client/sdk/model.js'
import { resolveLimits } from '../../proto/limits.js'
import { Instance } from '../../test/harness/instance.js'
import { vmms } from '../../test/harness/machines.js'
import { machineOffer } from '../../test/harness/offers.js'
import { LauncherConnection } from '../../worker/sandbox/launcher.js'
import { guestMemory, shapeOf } from '../../worker/sandbox/shape.js'
import type { Accelerator } from '../../worker/sandbox/vmm.js'
import { type Bench, type Row, runTrue, trueSpec } from '../bench.js'
import { BareMachine } from '../peers/bareMachine.js'
import type { Measured } from '../result.js'
import { median } from '../statistics.js'

const mebibyte = 1 << 20
/** Of another shape than the one that waits from the start. */
const otherBytes = 200 * mebibyte
const outputBytes = 256 * mebibyte
/** Until what a run took is there again. */
const refillMs = 3_000
/** A run with a machine takes a while: this many make a median. */
const mostSamples = 15

const spec: RunSpec = { ...trueSpec, isolation: 'MICROVM_REQUIRED' }
const other: RunSpec = { ...spec, limits: { memoryBytes: otherBytes } }

export const machines: Row = {
  ids: ['vm-ready', 'vm-bare', 'vm-empty', 'vm-cold', 'vm-output', 'vm-memory-resident', 'vm-memory-proportional'],
  async measure(bench: Bench) {
    const samples = Math.min(bench.samples, mostSamples)
    const rows: Measured[] = []
    const { guest } = bench
    const instance = await start(guest)
    try {
      const bare = await bareMachine(instance, guest)
      await using usual = bare
      const restored = { name: 'bare restore to ping', value: await medianOf(samples, () => usual.restore()) }
      const booted = { name: 'bare cold boot to ping', value: await medianOf(samples, () => usual.coldBoot()) }
      rows.push({ id: 'vm-ready', unit: 'ms', value: await ready(instance, samples), peer: restored, goal: { ratioAtMost: 1 } })
      rows.push({
        id: 'vm-bare',
        unit: 'ms',
        value: await withoutImage(instance, samples),
        peer: restored,
        goal: { ratioAtMost: 3 },
      })
      // Room for both templates, and for the one machine that always waits.
      const room = guestMemory(256 * mebibyte) + guestMemory(otherBytes) + 65 * mebibyte
      const empty = await inAnother(guest, room, samples)
      rows.push({ id: 'vm-empty', unit: 'ms', value: empty, peer: restored, goal: { ratioAtMost: 5 } })
      rows.push({
        id: 'vm-cold',
        unit: 'ms',
        value: await inAnother(guest, 0, samples),
        peer: booted,
        goal: { ratioAtMost: 1.3 },
      })
      rows.push(await output(instance), ...(await memory(instance)))
      return rows
    } finally {
      await instance.stop()
    }
  },
}

async function start(guest: string, ...args: string[]): Promise<Instance> {
  const instance = await Instance.start({ args: ['--allow-emulation', '--guest', guest, ...args] })
  const offer = await machineOffer(instance.caisson)
  if (offer?.unavailable !== '') throw new Error(`no microVM: ${offer?.unavailable}`)
  return instance
}

/** Of the same shape, with what the launcher of `instance` boots. */
async function bareMachine(instance: Instance, guest: string): Promise<BareMachine> {
  const folder = `/proc/${await instance.pid('launcher')}/fd`
  const names = await readdir(folder)
  const targets = await Promise.all(names.map((name) => readlink(`${folder}/${name}`).catch(() => '')))
  const initramfs = `${folder}/${names[targets.findIndex((target) => target.startsWith('/memfd:initramfs'))]}`
  using launcher = await LauncherConnection.connect(`/run/caisson/${instance.name}/launcher.sock`)
  const { tscKhz, acpi } = await launcher.ask({ describeGuest: {} }, 'guestDescribed')
  const offer = await machineOffer(instance.caisson)
  const accelerator = offer?.accelerator as Accelerator
  return BareMachine.make(join(guest, 'kernel'), initramfs, {
    ...shapeOf(resolveLimits({}, {}), 1),
    accelerator,
    tscKhz: tscKhz ?? 0,
    acpi: acpi ?? false,
    console: false,
  })
}

async function medianOf(samples: number, measure: (sample: number) => Promise<number>): Promise<number> {
  const took: number[] = []
  for (let sample = 0; sample < samples; sample++) took.push(await measure(sample))
  return median(took)
}

async function ready(instance: Instance, samples: number): Promise<number> {
  for (let i = 0; i < 3; i++) await runTrue(instance, spec)
  return medianOf(samples, async () => {
    await sleep(refillMs)
    return runTrue(instance, spec)
  })
}

/** A disk rate that no machine has waited with, and that none would reach. */
function withoutImage(instance: Instance, samples: number): Promise<number> {
  return medianOf(samples, async (sample) => {
    const limits = { diskBytesPerSecond: 2 ** 40 + sample }
    await sleep(refillMs)
    return runTrue(instance, { ...spec, limits })
  })
}

/** In an instance whose machines have no more memory than this. */
async function inAnother(guest: string, machineMemoryBytes: number, samples: number): Promise<number> {
  const instance = await start(guest, '--machine-memory-bytes', String(machineMemoryBytes))
  try {
    await runTrue(instance, other)
    return await medianOf(samples, () => runTrue(instance, other))
  } finally {
    await instance.stop()
  }
}

async function output(instance: Instance): Promise<Measured> {
  await sleep(refillMs)
  const limits = { outputBytes, wallMs: 600_000, cpuMs: 600_000 }
  const run = instance.caisson.run({ ...spec, args: ['sh', '-c', `head -c ${outputBytes} /dev/zero`], limits })
  let first = 0
  let bytes = 0
  for await (const event of run) {
    if (event.type !== 'output') continue
    first ||= performance.now()
    bytes += event.data.length
  }
  if (bytes !== outputBytes) throw new Error(`${bytes} bytes of output`)
  const value = bytes / 1e6 / ((performance.now() - first) / 1000)
  return { id: 'vm-output', value, unit: 'MB/s', peer: { name: 'the promise', value: 60 }, goal: { ratioAtLeast: 1 } }
}

/** Of machines that wait: those that a template's memory shows in. */
async function memory(instance: Instance): Promise<Measured[]> {
  await sleep(refillMs)
  const rollups = (await vmms(instance)).map((pid) => readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => ''))
  const texts = await Promise.all(rollups)
  const megabytes = (name: string) =>
    texts.flatMap((text) => (Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(text)?.[1] ?? 0) * 1024) / 1e6 || [])
  return [
    { id: 'vm-memory-resident', value: median(megabytes('Rss')), unit: 'MB', goal: { valueBelow: 60 } },
    { id: 'vm-memory-proportional', value: median(megabytes('Pss')), unit: 'MB', goal: { valueBelow: 45 } },
  ]
}
