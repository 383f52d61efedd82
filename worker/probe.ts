// What this worker's host can give to one run at the most.
import { readFile, statfs } from 'node:fs/promises'
import { join } from 'node:path'
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

/** Why a container's disk rate cannot be kept here; empty where it can. It takes the v2 tree with the io controller, as the launcher uses it. */
export async function probeDiskRate(): Promise<string> {
  const line = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').find((line) => / - cgroup2 /.test(line))
  const [, , , , folder = ''] = line?.split(' ') ?? []
  const controllers = await readFile(join(folder, 'cgroup.controllers'), 'utf8').catch(() => '')
  const missing = ['memory', 'pids', 'cpu', 'io'].filter((name) => !controllers.trim().split(' ').includes(name))
  return missing.length === 0
    ? ''
    : `no cgroup v2 with ${missing.join(', ')}: v1 does not slow down writes through the page cache`
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
