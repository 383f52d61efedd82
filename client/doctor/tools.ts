// The programs and the user that a service is made of.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Installation } from '../up/installation.js'
import { requireBinaries } from '../up/installation.js'
import { findUser, type Part, userNames } from '../up/instance.js'
import { type Check, no, yes } from './check.js'

interface Tool {
  name: string
  args: string[]
  /** Its version, from what it prints. */
  version: RegExp
  package: string
  purpose: string
}

// mkfs.ext4 lives where an ordinary user's PATH does not lead.
const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin` }

const tools: Tool[] = [
  { name: 'redis-server', args: ['--version'], version: /v=(\S+)/, package: 'redis-server', purpose: 'the record of every run' },
  { name: 'mkfs.ext4', args: ['-V'], version: /mke2fs (\S+)/, package: 'e2fsprogs', purpose: 'scratch disks' },
]

export async function checkTools(installation: Installation): Promise<Check[]> {
  return [checkNode(), ...(await Promise.all(tools.map(checkTool))), ...(await checkUsers()), checkBinaries(installation)]
}

function checkNode(): Check {
  const { node } = process.versions
  if (Number(node.split('.')[0]) < 20) return no('node', `version ${node}`, 'install Node 20 or newer')
  return yes('node', `version ${node}`)
}

async function checkTool({ name, args, version, package: source, purpose }: Tool): Promise<Check> {
  try {
    const { stdout, stderr } = await promisify(execFile)(name, args, { env, timeout: 5000 })
    return yes(name, `version ${version.exec(stdout + stderr)?.[1] ?? 'unknown'} (${purpose})`)
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return no(name, missing ? `not found; it is needed for ${purpose}` : String(error), `apt-get install ${source}`)
  }
}

function checkUsers(): Promise<Check[]> {
  return Promise.all((Object.keys(userNames) as Part[]).map(checkUser))
}

async function checkUser(part: Part): Promise<Check> {
  const found = await findUser(userNames[part])
  const name = `user ${userNames[part]}`
  if (!found) return no(name, `not found; ${part} runs as it`, `useradd --system ${userNames[part]} (scripts/setup does it)`)
  return yes(name, `uid ${found.uid}, gid ${found.gid} (${part})`)
}

function checkBinaries(installation: Installation): Check {
  try {
    requireBinaries(installation)
    return yes('native programs', installation.launcher.replace(/\/[^/]*$/, ''))
  } catch (error) {
    return no('native programs', error instanceof Error ? error.message : String(error), 'npm run build')
  }
}
