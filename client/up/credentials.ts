// Keys and tokens that only root may read, handed to control and worker: copies that only the one or the other reads, gone with the
// service, or at last with the machine.

import { randomBytes } from 'node:crypto'
import { chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sealKeyBytes } from '../../proto/seal.js'
import type { Instance, User } from './instance.js'

export interface CredentialFiles {
  tlsCert?: string
  tlsKey?: string
  tokenFile?: string
  /** Default: one of its own, which lasts with the state. */
  sealKeyFile?: string
  registryConfig?: string
  registryCa?: string
  redisCa?: string
}

export interface HandedOver {
  controlArgs: string[]
  workerArgs: string[]
}

const both = { sealKeyFile: '--seal-key-file', redisCa: '--redis-ca' }
const controlFlags = { ...both, tlsCert: '--tls-cert', tlsKey: '--tls-key', tokenFile: '--token-file' }
const workerFlags = { ...both, registryConfig: '--registry-config', registryCa: '--registry-ca' }

/** The flags that name the copies. */
export async function handOver(files: CredentialFiles, instance: Instance): Promise<HandedOver> {
  const all = { ...files, sealKeyFile: files.sealKeyFile ?? (await ownSealKey(instance)) }
  return {
    controlArgs: await copies(all, controlFlags, instance.credentials.control, instance.users.control),
    workerArgs: await copies(all, workerFlags, instance.credentials.worker, instance.users.worker),
  }
}

/** Lasts as long as the Redis beside it, which holds what it sealed; Redis itself is given no copy. */
async function ownSealKey({ state }: Instance): Promise<string> {
  const folder = join(state, 'keys')
  const path = join(folder, 'seal')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  if (await readFile(path).catch(() => undefined)) return path
  // Renamed, so that a crash leaves no half a key.
  await writeFile(`${path}.new`, `${randomBytes(sealKeyBytes).toString('hex')}\n`, { mode: 0o400 })
  await rename(`${path}.new`, path)
  return path
}

async function copies(
  files: CredentialFiles,
  flags: Record<string, string>,
  folder: string,
  { uid, gid }: User,
): Promise<string[]> {
  const args: string[] = []
  for (const [name, flag] of Object.entries(flags)) {
    const source = files[name as keyof CredentialFiles]
    if (source === undefined) continue
    const copy = join(folder, name)
    await rm(copy, { force: true })
    await writeFile(copy, await readFile(source), { mode: 0o400 })
    await chown(copy, uid, gid)
    args.push(flag, copy)
  }
  return args
}
