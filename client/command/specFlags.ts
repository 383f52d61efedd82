// The flags that describe a run: `caisson run` and `caisson submit` take the same ones.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Isolation, Limits, RunSpec } from '../sdk/model.js'
import { collectEnv, collectPair, collectWord, parseCores, parseCount, parseDuration, parseSize } from './quantity.js'
import { addRegistryFlags, pullOf, type RegistryFlags } from './registryFlags.js'

export interface SpecFlags extends RegistryFlags {
  cpu?: number
  memory?: number
  pids?: number
  disk?: number
  output?: number
  timeout?: number
  cpuTime?: number
  openFiles?: number
  diskRate?: number
  env?: Record<string, string>
  cwd?: string
  user?: string
  entrypoint?: string[]
  label?: Record<string, string>
  seccomp?: string
  capability?: string[]
  isolation?: 'microvm-required' | 'microvm-preferred' | 'container'
  priority?: number
  startWithin?: number
  retention?: number
  key?: string
  retryAfterStart?: boolean
  waitForWorker?: boolean
}

export function addSpecFlags(command: Command): Command {
  const isolations = ['microvm-required', 'microvm-preferred', 'container']
  return addRegistryFlags(command, 'if-not-present')
    .option('--cpu <cores>', 'cpu rate, e.g. 0.5 (default 1)', parseCores)
    .option('--memory <size>', 'memory, e.g. 512M (default 256M)', parseSize)
    .option('--pids <n>', 'processes and threads (default 128)', parseCount)
    .option('--disk <size>', 'bytes written to the file system (default 1G)', parseSize)
    .option('--disk-rate <size>', 'bytes a second, read and written each (default: as fast as the machine is)', parseSize)
    .option('--output <size>', 'stdout and stderr together (default 16M)', parseSize)
    .option('--timeout <duration>', 'wall time, e.g. 90, 1.5s, 2m (default 60s)', parseDuration)
    .option('--cpu-time <duration>', 'cpu time of all processes (default: timeout x cpu)', parseDuration)
    .option('--open-files <n>', 'open files of a process (default 1024)', parseCount)
    .option('-e, --env <name[=value]>', "add to the environment; NAME alone passes this one's value (repeat)", collectEnv)
    .option('-w, --cwd <path>', "working directory (default: the image's)")
    .option('-u, --user <user[:group]>', "names of the image, or numbers (default: the image's)")
    .option('--entrypoint <word>', "replace the image's entrypoint; repeat for more words, '' for none", collectWord)
    .option('-l, --label <name=value>', 'label the run (repeat)', collectPair)
    .option('--seccomp <file>', 'JSON of an OCI seccomp profile, to narrow what the program may ask of the kernel', readText)
    .option('--capability <name>', 'CAP_..., of those that the operator granted to the token (repeat)', collectWord)
    .addOption(
      new Option('--isolation <kind>', 'what must stand around the program (default microvm-preferred)').choices(isolations),
    )
    .option('--priority <n>', '0 (first, default) to 1000000 (last)', parseCount)
    .option('--start-within <duration>', 'give up when not started by then', parseDuration)
    .option('--retention <duration>', 'keep record and output after the end (default 1d)', parseDuration)
    .option('--key <key>', 'idempotency key: the same key with the same spec is the same run')
    .option('--retry-after-start', "may start again after the service's failure; the program may then run twice")
    .option('--wait-for-worker', 'queue the run even when no worker offers the isolation')
}

/** `words`: the image's Cmd, after a "--" or not. */
export function specOf(image: string, words: string[], flags: SpecFlags): RunSpec {
  const { env, cwd, user, priority, retryAfterStart, waitForWorker } = flags
  return {
    image: absoluteImage(image),
    args: words[0] === '--' ? words.slice(1) : words,
    ...defined({ env, cwd, user, labels: flags.label, priority, retryAfterStart, waitForWorker }),
    ...defined({ seccomp: flags.seccomp, capabilities: flags.capability }),
    ...defined({ startWithinMs: flags.startWithin, retentionMs: flags.retention }),
    ...(flags.entrypoint && { entrypoint: flags.entrypoint.filter((word) => word !== '') }),
    ...(flags.isolation && { isolation: flags.isolation.replace('-', '_').toUpperCase() as Isolation }),
    ...pullOf(flags),
    limits: limitsOf(flags),
  }
}

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
    diskBytesPerSecond: flags.diskRate,
  })
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new InvalidArgumentError(`cannot be read: ${(error as Error).message}`)
  }
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
