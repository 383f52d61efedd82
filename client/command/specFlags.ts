// The flags that describe a run: `caisson run` and `caisson submit` take the same ones.

import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import type { RegistryCredential } from '../sdk/caisson.js'
import type { Isolation, Limits, Pull, RunSpec } from '../sdk/model.js'
import { collectEnv, collectPair, collectWord, parseCores, parseCount, parseDuration, parseSize } from './quantity.js'

export interface SpecFlags {
  cpu?: number
  memory?: number
  pids?: number
  disk?: number
  output?: number
  timeout?: number
  cpuTime?: number
  openFiles?: number
  env?: Record<string, string>
  cwd?: string
  user?: string
  entrypoint?: string[]
  label?: Record<string, string>
  isolation?: 'microvm-required' | 'microvm-preferred' | 'container'
  priority?: number
  startWithin?: number
  retention?: number
  key?: string
  retryAfterStart?: boolean
  waitForWorker?: boolean
  pull?: 'always' | 'if-not-present' | 'never'
  registryUser?: string
  registryPasswordFile?: string
  registryTokenFile?: string
}

export function addSpecFlags(command: Command): Command {
  const isolations = ['microvm-required', 'microvm-preferred', 'container']
  return command
    .option('--cpu <cores>', 'cpu rate, e.g. 0.5 (default 1)', parseCores)
    .option('--memory <size>', 'memory, e.g. 512M (default 256M)', parseSize)
    .option('--pids <n>', 'processes and threads (default 128)', parseCount)
    .option('--disk <size>', 'bytes written to the file system (default 1G)', parseSize)
    .option('--output <size>', 'stdout and stderr together (default 16M)', parseSize)
    .option('--timeout <duration>', 'wall time, e.g. 90, 1.5s, 2m (default 60s)', parseDuration)
    .option('--cpu-time <duration>', 'cpu time of all processes (default: timeout x cpu)', parseDuration)
    .option('--open-files <n>', 'open files of a process (default 1024)', parseCount)
    .option('-e, --env <name[=value]>', "add to the environment; NAME alone passes this one's value (repeat)", collectEnv)
    .option('-w, --cwd <path>', "working directory (default: the image's)")
    .option('-u, --user <user[:group]>', "names of the image, or numbers (default: the image's)")
    .option('--entrypoint <word>', "replace the image's entrypoint; repeat for more words, '' for none", collectWord)
    .option('-l, --label <name=value>', 'label the run (repeat)', collectPair)
    .addOption(
      new Option('--isolation <kind>', 'what must stand around the program (default microvm-preferred)').choices(isolations),
    )
    .option('--priority <n>', '0 (first, default) to 1000000 (last)', parseCount)
    .option('--start-within <duration>', 'give up when not started by then', parseDuration)
    .option('--retention <duration>', 'keep record and output after the end (default 1d)', parseDuration)
    .option('--key <key>', 'idempotency key: the same key with the same spec is the same run')
    .option('--retry-after-start', "may start again after the service's failure; the program may then run twice")
    .addOption(
      new Option('--pull <when>', 'ask the registry (default if-not-present)').choices(['always', 'if-not-present', 'never']),
    )
    .option('--registry-user <name>', "for the image's registry; with --registry-password-file")
    .option('--registry-password-file <file>', 'holds the password and nothing else')
    .option('--registry-token-file <file>', 'instead of both: holds an identity token')
    .option('--wait-for-worker', 'queue the run even when no worker offers the isolation')
}

/** `words`: the image's Cmd, after a "--" or not. */
export function specOf(image: string, words: string[], flags: SpecFlags): RunSpec {
  const { env, cwd, user, priority, retryAfterStart, waitForWorker } = flags
  return {
    image: absoluteImage(image),
    args: words[0] === '--' ? words.slice(1) : words,
    ...defined({ env, cwd, user, labels: flags.label, priority, retryAfterStart, waitForWorker }),
    ...defined({ startWithinMs: flags.startWithin, retentionMs: flags.retention }),
    ...(flags.entrypoint && { entrypoint: flags.entrypoint.filter((word) => word !== '') }),
    ...(flags.isolation && { isolation: flags.isolation.replace('-', '_').toUpperCase() as Isolation }),
    ...(flags.pull && { pull: flags.pull.replaceAll('-', '_').toUpperCase() as Pull }),
    limits: limitsOf(flags),
  }
}

/** Secrets come in files: everybody on the machine sees arguments. */
export async function credentialOf(flags: SpecFlags): Promise<{ registryCredential?: RegistryCredential }> {
  const { registryUser, registryPasswordFile, registryTokenFile } = flags
  const isPair = registryUser !== undefined && registryPasswordFile !== undefined
  const isHalf = !isPair && (registryUser !== undefined || registryPasswordFile !== undefined)
  if (isHalf || (isPair && registryTokenFile !== undefined)) {
    throw new Error('--registry-user goes with --registry-password-file, and without --registry-token-file')
  }
  if (isPair) return { registryCredential: { username: registryUser, password: await secretIn(registryPasswordFile) } }
  return registryTokenFile === undefined ? {} : { registryCredential: { identityToken: await secretIn(registryTokenFile) } }
}

const secretIn = async (file: string): Promise<string> => (await readFile(file, 'utf8')).replace(/\r?\n$/, '')

function limitsOf(flags: SpecFlags): Limits {
  return defined({
    cpuMillis: flags.cpu,
    memoryBytes: flags.memory,
    pids: flags.pids,
    diskBytes: flags.disk,
    outputBytes: flags.output,
    wallMs: flags.timeout,
    cpuMs: flags.cpuTime,
    openFiles: flags.openFiles,
  })
}

/** A relative path is one of this folder, as everywhere on a command line. */
export function absoluteImage(image: string): string {
  const [, kind, path] = /^(oci|oci-archive|docker-archive):([^/].*)$/.exec(image) ?? []
  return kind && path ? `${kind}:${resolve(path)}` : image
}

type Defined<Fields> = { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> }

function defined<Fields extends object>(fields: Fields): Defined<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<Fields>
}
