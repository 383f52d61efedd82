// The flags of everything that may ask a registry.

import { readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import type { Pull, RegistryCredential } from '../sdk/model.js'

export interface RegistryFlags {
  pull?: 'always' | 'if-not-present' | 'never'
  registryUser?: string
  registryPasswordFile?: string
  registryTokenFile?: string
}

export function addRegistryFlags(command: Command, byDefault: string): Command {
  const policies = ['always', 'if-not-present', 'never']
  return command
    .addOption(new Option('--pull <when>', `ask the registry (default ${byDefault})`).choices(policies))
    .option('--registry-user <name>', "for the image's registry; with --registry-password-file")
    .option('--registry-password-file <file>', 'holds the password and nothing else')
    .option('--registry-token-file <file>', 'instead of both: holds an identity token')
}

export const pullOf = ({ pull }: RegistryFlags): { pull?: Pull } =>
  pull === undefined ? {} : { pull: pull.replaceAll('-', '_').toUpperCase() as Pull }

/** Secrets come in files: everybody on the machine sees arguments. */
export async function credentialOf(flags: RegistryFlags): Promise<{ registryCredential?: RegistryCredential }> {
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
