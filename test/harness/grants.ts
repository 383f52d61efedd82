// A service whose one tenant was granted capabilities.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { InstanceOptions } from './instance.js'

const token = 'the-token-of-a-tenant-with-grants'

/** For Fixture.start. */
export const granting =
  (...capabilities: string[]) =>
  async (): Promise<{ options: InstanceOptions; undo: () => Promise<void> }> => {
    const folder = await mkdtemp(join(tmpdir(), 'caisson-t-grants-'))
    const file = join(folder, 'tokens')
    await writeFile(file, `${token} tests ${capabilities.join(' ')}\n`, { mode: 0o600 })
    return {
      options: { args: ['--allow-emulation', '--token-file', file], connect: { token } },
      undo: () => rm(folder, { recursive: true }),
    }
  }
