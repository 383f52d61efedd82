// What this worker's host can give to one run at the most.
import { readFile, statfs } from 'node:fs/promises'
import type { caisson } from '../proto/messages.js'
import { type Config, cores } from './config.js'

const gib = 2 ** 30
const weekMs = 604_800_000

/** Limits that the API allows but this host cannot keep are refused at submit. */
export async function probeMaximum({ cpuMillis, memoryBytes, state }: Config): Promise<caisson.v1.ILimits> {
  return {
    cpuMillis: Math.min(cores() * 1000, cpuMillis),
    memoryBytes,
    pids: 32_768,
    diskBytes: await freeBytes(state),
    outputBytes: 16 * gib,
    wallMs: weekMs,
    cpuMs: weekMs,
    openFiles: Math.min(await openFilesLimit(), 1_048_576),
  }
}

/** Scratch disks are sparse files below the state folder: they can hold what is free there. */
async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}

/** The hard limit is inherited from the same starter as the launcher's, and nothing in a sandbox may rise above that. */
async function openFilesLimit(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8')
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1]
  return hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard)
}
