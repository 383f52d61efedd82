// The command lines of an instance's processes.

import { dirname, join, resolve } from 'node:path'
import type { Program } from './child.js'
import type { Installation } from './installation.js'
import type { Instance, Part } from './instance.js'
import { redisAnswers, redisArgs } from './redis.js'

/** Where PATH leads. */
const programFolders = ['/usr']

/** What a process of the service needs of its starter's environment: nothing that a program of a client could be told. */
const environment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' }

export function launcherProgram(
  { launcher, agent, converter, lister }: Installation,
  { name, state, users }: Instance,
  guest?: string,
): Program {
  const args = ['serve', '--name', name, '--state', state]
  args.push(
    '--worker-uid',
    String(users.worker.uid),
    '--worker-gid',
    String(users.worker.gid),
    '--agent',
    agent,
    '--converter',
    converter,
    '--lister',
    lister,
  )
  if (guest !== undefined) args.push('--guest', resolve(guest))
  return { name: 'launcher', command: launcher, args, env: environment, ready: 'line' }
}

export function redisProgram(installation: Installation, instance: Instance, maxMemoryBytes: number): Program {
  const { redisSocket, redisData } = instance
  const command = ['redis-server', ...redisArgs(redisSocket, redisData, maxMemoryBytes)]
  const ready = (signal: AbortSignal) => redisAnswers(redisSocket, signal)
  const confinement = ['--calls', 'redis', '--no-network', '--writes', redisData, '--writes', dirname(redisSocket)]
  return { name: 'redis', ...stepDown(installation, instance, 'redis', command, confinement), ready }
}

/** `redisHere`: it has nobody to call by network. */
export function controlProgram(
  installation: Installation,
  instance: Instance,
  redis: string,
  args: string[],
  redisHere: boolean,
): Program {
  const confinement = ['--reads', instance.credentials.control, ...(redisHere ? ['--no-connect'] : [])]
  return { name: 'control', ...node(installation, instance, 'control', redis, args, confinement), ready: 'line' }
}

/** It executes the credential helpers that the operator named. */
export function workerProgram(
  installation: Installation,
  instance: Instance,
  redis: string,
  args: string[],
  images: string[],
): Program {
  const ofLauncher = ['layers', 'consoles'].map((folder) => join(instance.state, folder))
  const reads = [...ofLauncher, instance.credentials.worker, ...images].flatMap((path) => ['--reads', path])
  const executes = [instance.installAt, ...programFolders].flatMap((path) => ['--executes', path])
  const writes = [instance.images, instance.worker].flatMap((path) => ['--writes', path])
  const confinement = ['--no-listen', ...reads, ...executes, ...writes]
  const program = node(installation, instance, 'worker', redis, args, confinement)
  return { name: 'worker', ...program, env: { ...program.env, ...proxySettings() }, ready: 'line' }
}

/**
 * glibc raises this by itself, up to 64 MiB, when large buffers come and go: what the first image took would stay with an idle worker.
 * Bytes: what glibc begins with (mallopt(3)); it stays there once it is set.
 */
const giveMemoryBack = { MALLOC_TRIM_THRESHOLD_: String(128 << 10) }

/** The address of Redis is in the environment, for it may hold a password, and everybody sees arguments. */
function node(
  installation: Installation,
  instance: Instance,
  part: 'control' | 'worker',
  redis: string,
  args: string[],
  confinement: string[],
) {
  const command = [process.execPath, '--enable-source-maps', join('dist', part, 'main.js'), ...args]
  const group = ['--group', String(instance.users.redis.gid)]
  const program = stepDown(installation, instance, part, command, [...group, ...confinement])
  return { ...program, env: { ...program.env, ...giveMemoryBack, CAISSON_REDIS: redis } }
}

/** How this machine reaches registries; in the environment for the same reason. */
function proxySettings(): Record<string, string> {
  const names = ['http_proxy', 'https_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()])
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])))
}

/** As the part's own user, without any privilege, naming no files but its own; dies with the supervisor. */
function stepDown(
  { launcher, folder }: Installation,
  { users, installAt }: Instance,
  part: Part,
  command: string[],
  confinement: string[],
) {
  const { uid, gid } = users[part]
  const user = ['--user', `${uid}:${gid}`, '--install', folder, '--at', installAt]
  return {
    command: launcher,
    args: ['enter', ...user, ...confinement, '--', ...command],
    env: { ...environment, NODE_ENV: 'production' },
  }
}
