// Keys and tokens that only root may read, handed to control: copies that only the instance's user reads, gone with the
// service, or at last with the machine.

import { chown, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Instance } from './instance.js'

export interface CredentialFiles {
  tlsCert?: string
  tlsKey?: string
  tokenFile?: string
}

const flags = { tlsCert: '--tls-cert', tlsKey: '--tls-key', tokenFile: '--token-file' } as const

/** The flags for control that name the copies. */
export async function handOver(files: CredentialFiles, { credentials, user }: Instance): Promise<string[]> {
  const args: string[] = []
  for (const name of Object.keys(flags) as (keyof CredentialFiles)[]) {
    const source = files[name]
    if (source === undefined) continue
    const copy = join(credentials, name)
    await writeFile(copy, await readFile(source), { mode: 0o400 })
    await chown(copy, user.uid, user.gid)
    args.push(flags[name], copy)
  }
  return args
}
