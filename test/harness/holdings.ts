// What an instance holds while it runs: an idle one holds the same after any number of runs as before.

import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { lookAtHost } from './host.js'
import type { Instance, Part } from './instance.js'
import { knownOffers } from './offers.js'
import { until } from './until.js'

const parts: Part[] = ['launcher', 'redis', 'control', 'worker']

export interface Holdings {
  cgroups: number
  loopDevices: number
  processes: string[]
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
  const kinds = host
    .filter((line) => line.startsWith('process ') && line.includes(instance.name))
    .map((line) => line.split(' ').slice(3).join(' '))
    .sort()
  const count = (kind: string) => host.filter((line) => line.startsWith(kind) && line.includes(instance.name)).length
  return {
    cgroups: count('cgroup '),
    loopDevices: count('loop device '),
    processes: kinds,
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
    const noMore = (['cgroups', 'loopDevices', 'mounts'] as const).every((kind) => now[kind] <= before[kind])
    const sameProcesses = JSON.stringify(now.processes) === JSON.stringify(before.processes)
    return noMore && sameProcesses && parts.every((part) => now.descriptors[part] <= before.descriptors[part] + 4)
  }
  await until('the instance holds what it held', limitMs, same).catch(() => {
    throw new Error(`the instance held ${JSON.stringify(before)}, and now holds ${JSON.stringify(now)}`)
  })
}

export async function memory(instance: Instance): Promise<Record<Part, number>> {
  const bytes = {} as Record<Part, number>
  for (const part of parts) bytes[part] = await instance.memoryBytes(part)
  return bytes
}
