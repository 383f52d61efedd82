// What /proc says about processes. One that ends while it is looked at is left out.

import { readdir, readFile } from 'node:fs/promises'

export interface Process {
  pid: number
  parent: number
  name: string
  /** Since boot, in clock ticks: with the pid it names a process for good. */
  started: string
}

export async function processes(): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const found = await Promise.all(pids.map((pid) => readProcess(pid)))
  return found.filter((process) => process !== undefined)
}

export async function childrenOf(parent: number): Promise<number[]> {
  return (await processes()).filter((process) => process.parent === parent).map(({ pid }) => pid)
}

/** As childrenOf, and quick enough to catch those that live for a moment: the kernel lists them. */
export async function fleetingChildrenOf(parent: number): Promise<number[]> {
  const threads = await readdir(`/proc/${parent}/task`).catch(() => [])
  const listed = threads.map((thread) => readFile(`/proc/${parent}/task/${thread}/children`, 'utf8').catch(() => ''))
  return (await Promise.all(listed)).join(' ').split(' ').filter(Boolean).map(Number)
}

/** Words separated by spaces; empty for a kernel thread, or a process that is gone. */
export async function cmdline(pid: number): Promise<string> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ').trim()
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function readProcess(pid: number): Promise<Process | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // The name may hold spaces and parentheses: the last one closes it.
  const parts = stat === undefined ? null : /^\d+ \((.*)\) (.*)$/s.exec(stat)
  if (!parts) return undefined
  const fields = (parts[2] ?? '').split(' ')
  return { pid, parent: Number(fields[1]), name: parts[1] ?? '', started: fields[19] ?? '' }
}
