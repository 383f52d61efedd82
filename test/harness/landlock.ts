// Whether the kernel of this machine fences files, as the launcher sees it.

import { execFileSync } from 'node:child_process'
import { findInstallation } from '../../client/up/installation.js'

interface Fact {
  name: string
  works: boolean
  detail: string
}

export function landlock(): Fact {
  const { facts } = JSON.parse(String(execFileSync(findInstallation().launcher, ['probe']))) as { facts: Fact[] }
  return facts.find(({ name }) => name === 'Landlock') ?? { name: 'Landlock', works: false, detail: 'not told of' }
}
