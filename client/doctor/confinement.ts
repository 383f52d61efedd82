// What the processes of a running service are held to, as the kernel tells: the table of docs/security.md, of this machine.

import { readdir, readFile, readlink } from 'node:fs/promises'
import { capabilitiesOf } from './capabilities.js'
import { type Check, no, unknown, yes } from './check.js'
import type { Probe } from './machine.js'

export interface Confinement {
  /** launcher, redis, control, worker, agent, converter, lister, VMM */
  process: string
  /** Of the first; of agents, say, there are several. */
  pid: number
  count: number
  uid: number
  /** "CAP_KILL" …, in force. */
  capabilities: string[]
  noNewPrivs: boolean
  /** Seccomp filters, of which the strictest answer counts. */
  filters: number
  /** The launcher puts it behind Landlock wherever the kernel has that; no process tells whether it is. */
  landlock: boolean
  /** Kinds that it does not share with whoever asks. */
  namespaces: string[]
  /** Of AppArmor, SELinux …; empty: none. */
  label: string
}

/** By a word of the command line. */
const services: [string, string][] = [
  ['redis', 'redis-server'],
  ['control', 'dist/control/main.js'],
  ['worker', 'dist/worker/main.js'],
]
const children: [string, string][] = [
  ['agent', 'caisson-agent'],
  ['converter', 'caisson-converter'],
  ['lister', 'caisson-lister'],
  ['VMM', 'qemu-system-'],
]
/** It mounts, and the kernel lets nobody do that behind Landlock. */
const mounting = ['launcher', 'agent']

interface Found {
  pid: number
  parent: number
  words: string[]
}

/** Of the instance that `up` runs here; nothing when there is none. */
export async function lookAtConfinement(name: string, probe: Probe | Error): Promise<Confinement[]> {
  const all = await processes()
  const launcher = all.find((process) => servesAs(process, name))
  if (!launcher) return []
  const hasLandlock = !(probe instanceof Error) && probe.facts.some((fact) => fact.name === 'Landlock' && fact.works)
  const named = (kinds: [string, string][], parent: number) =>
    kinds.map(([kind, mark]) => ({
      kind,
      found: all.filter((process) => process.parent === parent && process.words.some((word) => word.includes(mark))),
    }))
  const kinds = [{ kind: 'launcher', found: [launcher] }, ...named(services, launcher.parent), ...named(children, launcher.pid)]
  const looked = kinds.map(
    ({ kind, found: [first, ...others] }) =>
      first && look(kind, first.pid, others.length + 1, hasLandlock && !mounting.includes(kind)),
  )
  return (await Promise.all(looked)).filter((confinement) => confinement !== undefined)
}

export function checkConfinement(confinements: Confinement[], name: string): Check[] {
  if (process.getuid?.() !== 0) return [unknown('processes', 'only root can look at what they are held to')]
  if (confinements.length === 0) return [unknown('processes', `no service of the name ${name} runs here`)]
  return confinements.map((confinement) => {
    const { process, count, noNewPrivs, filters } = confinement
    const title = count > 1 ? `${process} (${count})` : process
    if (noNewPrivs && filters > 0) return yes(title, describe(confinement))
    return no(title, describe(confinement), 'start the service by caisson up')
  })
}

function describe({ uid, capabilities, noNewPrivs, filters, landlock, namespaces, label }: Confinement): string {
  const count = capabilities.length
  return [
    `uid ${uid}`,
    count === 0 ? 'no capability' : `${count} capabilities`,
    noNewPrivs ? 'no_new_privs' : 'without no_new_privs',
    `${filters} filter${filters === 1 ? '' : 's'}`,
    ...(landlock ? ['Landlock'] : []),
    namespaces.length === 0 ? 'no namespace of its own' : `own ${namespaces.join(' ')}`,
    ...(label === '' ? [] : [`label ${label}`]),
  ].join(', ')
}

function servesAs({ words }: Found, name: string): boolean {
  const [program = '', command] = words
  return program.endsWith('caisson-launcher') && command === 'serve' && words[words.indexOf('--name') + 1] === name
}

async function processes(): Promise<Found[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const found = pids.map(async (pid) => {
    const words = (await text(`/proc/${pid}/cmdline`)).split('\0')
    return { pid, parent: Number(field(await text(`/proc/${pid}/status`), 'PPid')), words }
  })
  return Promise.all(found)
}

/** Undefined: it ended meanwhile, or is not ours to look at. */
async function look(kind: string, pid: number, count: number, landlock: boolean): Promise<Confinement | undefined> {
  const status = await text(`/proc/${pid}/status`)
  const namespaces = await ownNamespaces(pid).catch(() => undefined)
  if (status === '' || !namespaces) return undefined
  return {
    process: kind,
    pid,
    count,
    uid: Number(field(status, 'Uid').split('\t')[0]),
    capabilities: capabilitiesOf(BigInt(`0x${field(status, 'CapEff')}`)),
    noNewPrivs: field(status, 'NoNewPrivs') === '1',
    filters: Number(field(status, 'Seccomp_filters')),
    landlock,
    namespaces,
    label: (await text(`/proc/${pid}/attr/current`)).replace(/[\0\n]+$/, ''),
  }
}

async function ownNamespaces(pid: number): Promise<string[]> {
  const kinds = (await readdir('/proc/self/ns')).filter((kind) => !kind.endsWith('_for_children'))
  const own = await Promise.all(
    kinds.map(async (kind) => (await readlink(`/proc/${pid}/ns/${kind}`)) !== (await readlink(`/proc/self/ns/${kind}`))),
  )
  return kinds.filter((_, index) => own[index])
}

const field = (status: string, name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '0'

/** Empty: there is none, or it is not ours to read. */
const text = (path: string) => readFile(path, 'utf8').catch(() => '')
