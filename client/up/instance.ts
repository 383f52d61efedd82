// One all-in-one service on this host: its name, its folders and who owns them.

import { chmod, chown, lstat, mkdir, readdir, readFile, realpath, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { lockName } from './lock.js'

export interface User {
  name: string
  uid: number
  gid: number
}

export interface Instance {
  name: string
  user: User
  /** Durable: layers and Redis. */
  state: string
  /** Gone with the machine. */
  runtime: string
  /** Where its processes see the installation. */
  installAt: string
  redisSocket: string
  redisData: string
  /** What the worker knows of images in registries. */
  images: string
  credentials: string
}

const namePattern = /^(?!-|uids$)[a-z0-9-]{1,32}$/

export async function makeInstance(name: string, stateFolder: string, user: User): Promise<Instance> {
  if (!namePattern.test(name)) throw new Error(`--name ${name}: 1 to 32 characters of [a-z0-9-], not "uids"`)
  await mkdir(stateFolder, { recursive: true, mode: 0o755 })
  const state = await realpath(stateFolder)
  const runtime = join('/run/caisson', name)
  await mkdir(runtime, { recursive: true, mode: 0o755 })
  const redisFolder = join(runtime, 'redis')
  const instance = {
    name,
    user,
    state,
    runtime,
    installAt: join(runtime, 'install'),
    redisSocket: join(redisFolder, 'redis.sock'),
    redisData: join(state, 'redis'),
    credentials: join(runtime, 'credentials'),
    images: join(state, 'images'),
  }
  for (const folder of [redisFolder, instance.redisData, instance.credentials, instance.images]) await ownFolder(folder, user)
  return instance
}

/** Only the user enters it. What is there already and is no folder is somebody's mistake, or attack. */
async function ownFolder(path: string, { uid, gid }: User): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  if (!(await lstat(path)).isDirectory()) throw new Error(`${path} is not a folder`)
  await chown(path, uid, gid)
  await chmod(path, 0o700)
}

/** When all its processes are gone, under the lock that is left. What is mounted there (nothing, if the launcher ended well) stays. */
export async function clearRuntime({ runtime }: Instance): Promise<void> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8')
  if (mounts.includes(` ${runtime}/`)) return
  for (const entry of await readdir(runtime))
    if (entry !== lockName) await rm(join(runtime, entry), { recursive: true, force: true })
}

/** Without the lock: somebody else may have taken the name by now, and then the folder is not empty. */
export async function removeRuntime({ runtime }: Instance): Promise<void> {
  await rmdir(runtime).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'ENOENT') throw error
  })
}

/** As the launcher reads it: from /etc/passwd alone. */
export async function findUser(name: string): Promise<User | undefined> {
  for (const line of (await readFile('/etc/passwd', 'utf8')).split('\n')) {
    const [found, , uid, gid] = line.split(':')
    if (found === name) return { name, uid: Number(uid), gid: Number(gid) }
  }
  return undefined
}
