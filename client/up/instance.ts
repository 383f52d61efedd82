// One all-in-one service on this host: its name, its folders and who owns them.

import { chmod, chown, lstat, mkdir, readdir, readFile, realpath, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { lockName } from './lock.js'

export interface User {
  name: string
  uid: number
  gid: number
}

/** Who each part runs as. Nobody of them reads another's memory or files; the launcher alone has root. */
export type Part = 'worker' | 'control' | 'redis'
export type Users = Readonly<Record<Part, User>>
export const userNames: Readonly<Record<Part, string>> = {
  worker: 'caisson',
  control: 'caisson-control',
  redis: 'caisson-redis',
}

export interface Instance {
  name: string
  users: Users
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
  /** The key by which it signs receipts. */
  worker: string
  /** One folder for each part that is handed any. */
  credentials: Readonly<Record<'worker' | 'control', string>>
}

const namePattern = /^(?!-|uids$)[a-z0-9-]{1,32}$/

export async function makeInstance(name: string, stateFolder: string, users: Users): Promise<Instance> {
  if (!namePattern.test(name)) throw new Error(`--name ${name}: 1 to 32 characters of [a-z0-9-], not "uids"`)
  await expectOpenWay(stateFolder)
  await mkdir(stateFolder, { recursive: true, mode: 0o755 })
  const state = await realpath(stateFolder)
  const runtime = join('/run/caisson', name)
  await mkdir(runtime, { recursive: true, mode: 0o755 })
  const redisFolder = join(runtime, 'redis')
  const instance = {
    name,
    users,
    state,
    runtime,
    installAt: join(runtime, 'install'),
    redisSocket: join(redisFolder, 'redis.sock'),
    redisData: join(state, 'redis'),
    credentials: { worker: join(runtime, 'credentials-worker'), control: join(runtime, 'credentials-control') },
    images: join(state, 'images'),
    worker: join(state, 'worker'),
  }
  // Its group may reach the socket.
  await ownFolder(redisFolder, users.redis, 0o750)
  await ownFolder(instance.redisData, users.redis, 0o700)
  await ownFolder(instance.credentials.worker, users.worker, 0o700)
  await ownFolder(instance.credentials.control, users.control, 0o700)
  await ownFolder(instance.images, users.worker, 0o700)
  await ownFolder(instance.worker, users.worker, 0o700)
  return instance
}

/** Its users would each say in words of their own that they cannot come in. */
export async function expectOpenWay(stateFolder: string): Promise<void> {
  const path = resolve(stateFolder)
  for (let folder = dirname(path); folder !== '/'; folder = dirname(folder)) {
    const { mode } = (await stat(folder).catch(() => undefined)) ?? { mode: 0o755 }
    if ((mode & 0o011) === 0)
      throw new Error(
        `--state ${path}: only the owner of ${folder} may enter it, and the users of the service have to (chmod o+x)`,
      )
  }
}

/** What is there already and is no folder is somebody's mistake, or attack; and what another user filled its new owner could not read. */
async function ownFolder(path: string, { name, uid, gid }: User, mode: number): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const found = await lstat(path)
  if (!found.isDirectory()) throw new Error(`${path} is not a folder`)
  if (found.uid !== uid && (await readdir(path)).length > 0)
    throw new Error(`${path} has files of uid ${found.uid}: it belongs to the user ${name} now (chown -R ${name}: ${path})`)
  await chown(path, uid, gid)
  await chmod(path, mode)
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

/** Throws when one of them is missing. */
export async function requireUsers(): Promise<Users> {
  const { worker, control, redis } = userNames
  return { worker: await requireUser(worker), control: await requireUser(control), redis: await requireUser(redis) }
}

async function requireUser(name: string): Promise<User> {
  const user = await findUser(name)
  if (!user) throw new Error(`the user "${name}" is missing: make it with scripts/setup, or useradd --system ${name}`)
  return user
}

/** As the launcher reads it: from /etc/passwd alone. */
export async function findUser(name: string): Promise<User | undefined> {
  for (const line of (await readFile('/etc/passwd', 'utf8')).split('\n')) {
    const [found, , uid, gid] = line.split(':')
    if (found === name) return { name, uid: Number(uid), gid: Number(gid) }
  }
  return undefined
}
