// The command lines of an instance's processes.

import { join, resolve } from 'node:path'
import type { Program } from './child.js'
import type { Installation } from './installation.js'
import type { Instance } from './instance.js'
import { redisAnswers, redisArgs } from './redis.js'

/** What a process of the service needs of its starter's environment: nothing that a program of a client could be told. */
const environment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' }

export function launcherProgram(
  { launcher, agent, converter }: Installation,
  { name, state, user }: Instance,
  guest?: string,
): Program {
  const args = ['serve', '--name', name, '--state', state]
  args.push('--worker-uid', String(user.uid), '--worker-gid', String(user.gid), '--agent', agent, '--converter', converter)
  if (guest !== undefined) args.push('--guest', resolve(guest))
  return { name: 'launcher', command: launcher, args, env: environment, ready: 'line' }
}

export function redisProgram(installation: Installation, instance: Instance, maxMemoryBytes: number): Program {
  const { redisSocket, redisData } = instance
  const command = ['redis-server', ...redisArgs(redisSocket, redisData, maxMemoryBytes)]
  const ready = (signal: AbortSignal) => redisAnswers(redisSocket, signal)
  return { name: 'redis', ...stepDown(installation, instance, command, ['--no-network']), ready }
}

export function nodeProgram(installation: Installation, instance: Instance, name: 'control' | 'worker', args: string[]): Program {
  const command = [process.execPath, '--enable-source-maps', join('dist', name, 'main.js'), ...args]
  const program = stepDown(installation, instance, command, [])
  const env = name === 'worker' ? { ...program.env, ...proxySettings() } : program.env
  return { name, ...program, env, ready: 'line' }
}

/** How this machine reaches registries. In the environment, for a proxy's URL may hold a password, and everybody sees arguments. */
function proxySettings(): Record<string, string> {
  const names = ['http_proxy', 'https_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()])
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])))
}

/** As the instance's user, without any privilege, seeing the installation read-only; dies with the supervisor. */
function stepDown({ launcher, folder }: Installation, { user, installAt }: Instance, command: string[], options: string[]) {
  const args = [
    'enter',
    '--user',
    `${user.uid}:${user.gid}`,
    '--install',
    folder,
    '--at',
    installAt,
    ...options,
    '--',
    ...command,
  ]
  return { command: launcher, args, env: { ...environment, NODE_ENV: 'production' } }
}
