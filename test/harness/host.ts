// What a test may leave behind on its host: mounts, loop devices, cgroups, processes, namespaces, runtime and temporary files.

import { readdir, readFile, readlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cmdline, processes } from './processes.js'
import { slowness } from './slowness.js'

/** Which block of uids each instance has: the first one makes it, for all that come. */
const registerOfUids = 'file /run/caisson/uids'

/** One line for each thing that is there. */
export type Host = Set<string>

export async function lookAtHost(): Promise<Host> {
  const found = await Promise.all([mounts(), loopDevices(), cgroups(), running(), below('/run/caisson'), below(tmpdir())])
  return new Set(found.flat().filter((line) => line !== registerOfUids))
}

/**
 * Rejects with the differences, when they do not go away. On a machine where others work too (CAISSON_TEST_HOST=shared) only what carries
 * one of the `names` counts.
 */
export async function expectSameHost(before: Host, names: string[], limitMs = 15_000): Promise<void> {
  const shared = process.env['CAISSON_TEST_HOST'] === 'shared'
  const deadline = Date.now() + limitMs * slowness
  for (;;) {
    const after = await lookAtHost()
    const added = [...after].filter((line) => !before.has(line)).map((line) => `+ ${line}`)
    const removed = [...before].filter((line) => !after.has(line) && !comesAndGoes.test(line)).map((line) => `- ${line}`)
    const differences = [...added, ...removed].filter((line) => !shared || names.some((name) => line.includes(name)))
    if (differences.length === 0) return
    if (Date.now() > deadline) throw new Error(`the host is not as it was:\n${differences.join('\n')}`)
    await sleep(200)
  }
}

/** What the machine's other business ends is no harm done by a test. */
const comesAndGoes = /^(?:process|namespace|file) /

async function mounts(): Promise<string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8')
  return lines(table).map((line) => {
    const [, , , root, point] = line.split(' ')
    return `mount ${root} ${point} ${line.split(' - ')[1]}`
  })
}

async function loopDevices(): Promise<string[]> {
  const devices = (await names('/sys/block')).filter((name) => name.startsWith('loop'))
  const backed = await Promise.all(
    devices.map(async (device) => {
      const file = await readFile(`/sys/block/${device}/loop/backing_file`, 'utf8').catch(() => undefined)
      return file === undefined ? [] : [`loop device ${device} ${file.trim()}`]
    }),
  )
  return backed.flat()
}

/** Directories of ours in every hierarchy. */
async function cgroups(): Promise<string[]> {
  const hierarchies = lines(await readFile('/proc/self/mountinfo', 'utf8'))
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] ?? '')
  const found = await Promise.all(
    hierarchies.map(async (hierarchy) => {
      const ours = (await names(hierarchy)).filter((name) => name.startsWith('caisson-'))
      return Promise.all(ours.map((name) => directories(join(hierarchy, name))))
    }),
  )
  return found.flat(2).map((path) => `cgroup ${path}`)
}

async function directories(path: string): Promise<string[]> {
  const children = await readdir(path, { withFileTypes: true }).catch(() => [])
  const deeper = await Promise.all(
    children.filter((child) => child.isDirectory()).map(({ name }) => directories(join(path, name))),
  )
  return [path, ...deeper.flat()]
}

const namespaceKinds = ['mnt', 'net', 'pid', 'user', 'ipc', 'uts', 'cgroup', 'time']

/** Inherited by whatever this test file starts, and by what that starts, wherever it is left. */
const mark = `CAISSON_TEST_FILE=${process.pid}`
process.env['CAISSON_TEST_FILE'] = String(process.pid)

/**
 * Processes of Caisson's (by command line or cgroup) and those that this file started; the machine has others that come and go. And every
 * namespace that any process is in.
 */
async function running(): Promise<string[]> {
  const found = await Promise.all(
    (await processes())
      .filter(({ pid, parent }) => parent !== 2 && pid !== 2 && pid !== process.pid)
      .map(async ({ pid, name, started }) => {
        const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
        const owner = /\/caisson-[^/\n]+/.exec(groups)?.[0] ?? ''
        const label = `${name} ${await cmdline(pid)} ${owner}`
        const namespaces = await Promise.all(
          namespaceKinds.map((kind) => readlink(`/proc/${pid}/ns/${kind}`).catch(() => undefined)),
        )
        const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
        const isOurs = label.includes('caisson') || environment.split('\0').includes(mark)
        const ours = isOurs ? [`process ${pid} ${started} ${label}`] : []
        return [...ours, ...namespaces.flatMap((id) => (id ? [`namespace ${id} ${owner}`] : []))]
      }),
  )
  return found.flat()
}

async function below(folder: string): Promise<string[]> {
  return (await names(folder)).map((name) => `file ${join(folder, name)}`)
}

const names = (folder: string): Promise<string[]> => readdir(folder).catch(() => [])
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '')
