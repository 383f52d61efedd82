// What an instance holds while it runs: an idle one holds the same after any number of runs as before.

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { lookAtHost } from './host.js'
import type { Instance, Part } from './instance.js'
import { vmmMark } from './machines.js'
import { knownOffers } from './offers.js'
import { until } from './until.js'

const parts: Part[] = ['launcher', 'redis', 'control', 'worker']

export interface Holdings {
  cgroups: number
  loopDevices: number
  processes: string[]
  /** Machines that wait come and go with demand. */
  vmms: number
  /** In the launcher's mount namespace: the kept layers. */
  mounts: number
  descriptors: Record<Part, number>
}

/** Once it is at rest: sandboxes are made ahead for a moment after each run. */
export async function holdings(instance: Instance): Promise<Holdings> {
  await knownOffers(instance.caisson)
  let last = ''
  let now = await look(instance)
  await until('the instance is at rest', 20_000, async () => {
    await sleep(500)
    last = JSON.stringify(now)
    now = await look(instance)
    return JSON.stringify(now) === last
  })
  return now
}

async function look(instance: Instance): Promise<Holdings> {
  const host = [...(await lookAtHost())]
  const launcher = await instance.pid('launcher')
  const table = await readFile(`/proc/${launcher}/mountinfo`, 'utf8')
  const descriptors = {} as Record<Part, number>
  for (const part of parts) descriptors[part] = (await readdir(`/proc/${await instance.pid(part)}/fd`)).length
  const running = host
    .filter((line) => line.startsWith('process ') && line.includes(instance.name))
    .map((line) => line.split(' ').slice(3).join(' '))
    .sort()
  const count = (kind: string) => host.filter((line) => line.startsWith(kind) && line.includes(instance.name)).length
  return {
    cgroups: count('cgroup '),
    loopDevices: count('loop device '),
    processes: running.filter((line) => !line.includes(vmmMark)),
    vmms: running.filter((line) => line.includes(vmmMark)).length,
    mounts: table.split('\n').length,
    descriptors,
  }
}

/**
 * The same as `before`, soon, or less: `before` may hold a disk that is kept for the next sandbox for some seconds. Sockets of clients that
 * just left may take a moment; a few descriptors more are a pool's.
 */
export async function expectSameHoldings(instance: Instance, before: Holdings, limitMs = 20_000): Promise<void> {
  let now = before
  const same = async () => {
    now = await look(instance)
    const noMore = (['cgroups', 'loopDevices', 'mounts', 'vmms'] as const).every((kind) => now[kind] <= before[kind])
    const sameProcesses = JSON.stringify(now.processes) === JSON.stringify(before.processes)
    return noMore && sameProcesses && parts.every((part) => now.descriptors[part] <= before.descriptors[part] + 4)
  }
  await until('the instance holds what it held', limitMs, same).catch(() => {
    throw new Error(`the instance held ${JSON.stringify(before)}, and now holds ${JSON.stringify(now)}`)
  })
}

/** A process, or all that the kernel counts for sandboxes: their processes, what they have of the page cache, templates of machines. */
type Holder = Part | 'sandboxes'

export async function memory(instance: Instance): Promise<Record<Holder, number>> {
  const bytes = { sandboxes: await chargedBytes(instance) } as Record<Holder, number>
  for (const part of parts) bytes[part] = await instance.memoryBytes(part)
  return bytes
}

async function chargedBytes({ name }: Instance): Promise<number> {
  const groups = [...(await lookAtHost())].filter((line) => line.startsWith('cgroup ') && line.endsWith(`/caisson-${name}`))
  const files = groups.flatMap((line) => ['memory.usage_in_bytes', 'memory.current'].map((file) => join(line.slice(7), file)))
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '0')))
  return Math.max(...texts.map(Number))
}

const mebibyte = 1 << 20

/** What each may keep after its first runs: what its allocator, its pools and its caches hold on to. */
const allowance: Record<Holder, number> = { launcher: 3, redis: 16, control: 48, worker: 48, sandboxes: 64 }

/** As it was `before`, within the allowance. */
export async function untilMemoryIsAsItWas(instance: Instance, before: Record<Holder, number>): Promise<void> {
  let grown: [string, number][] = []
  const isAsItWas = async () => {
    const now = await memory(instance)
    const holders = Object.entries(allowance) as [Holder, number][]
    grown = holders.map(([holder]) => [holder, (now[holder] - before[holder]) / mebibyte])
    return holders.every(([, most], index) => (grown[index]?.[1] ?? 0) < most)
  }
  await until('memory is as it was', 30_000, isAsItWas).catch(() => assert.fail(describe(grown)))
  process.stdout.write(`${describe(grown)}\n`)
}

const describe = (grown: [string, number][]): string =>
  `grown by MiB: ${grown.map(([holder, mebibytes]) => `${holder} ${mebibytes.toFixed(1)}`).join(', ')}`
