// The processes behind the second wall, seen from the host.

import { readFile } from 'node:fs/promises'
import type { Instance } from './instance.js'
import { cmdline, processes } from './processes.js'
import { until } from './until.js'

/** In the command line of a VMM. */
export const vmmMark = 'qemu-system-x86_64'

/** Pids of an instance's VMMs: those in its cgroups. */
export async function vmms({ name }: Instance): Promise<number[]> {
  const found = await Promise.all(
    (await processes()).map(async ({ pid }) => {
      const group = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
      return group.includes(`/caisson-${name}/`) && (await cmdline(pid)).includes(vmmMark) ? [pid] : []
    }),
  )
  return found.flat()
}

/** Once there is one. */
export async function vmm(instance: Instance): Promise<number> {
  let found: number | undefined
  await until('a VMM runs', 60_000, async () => {
    found = (await vmms(instance))[0]
    return found !== undefined
  })
  return found ?? 0
}
