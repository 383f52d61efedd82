// A guest that has been taken over: the machine's own guest folder, with another first program (hostile/guest.c).

import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { guest } from './images.js'

const run = promisify(execFile)

/** For Fixture.start; `args`: more of the instance's. */
export async function hostileGuest(...args: string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'caisson-hostile-'))
  for (const name of await readdir(guest)) await symlink(join(guest, name), join(folder, name))
  const source = new URL('../../../test/harness/hostile/guest.c', import.meta.url).pathname
  await run('gcc', ['-static', '-O1', '-w', '-o', join(folder, 'agent'), source])
  await run('chmod', ['755', folder])
  return {
    options: { args: ['--allow-emulation', '--machine-memory-bytes', '0', '--guest', folder, ...args] },
    undo: () => rm(folder, { recursive: true }),
  }
}
