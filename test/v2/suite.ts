// The checkout and the images as read-only disks.

import { execFile } from 'node:child_process'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { images } from '../harness/images.js'

const run = promisify(execFile)
const release = 'target/x86_64-unknown-linux-gnu/release'

/** In the order of the machine's disks, after its own. */
export async function packSuite(folder: string): Promise<string[]> {
  const [suite, imagesDisk] = [join(folder, 'suite.squashfs'), join(folder, 'images.squashfs')]
  const tree = join(folder, 'tree')
  await mkdir(join(tree, release), { recursive: true })
  // By hard links, as a copy that costs nothing.
  await run('cp', ['-al', 'dist', 'node_modules', 'proto', 'redis', 'package.json', tree])
  const programs = (await readdir(release)).filter((name) => /^caisson-[a-z]+$/.test(name))
  await run('cp', ['-l', ...programs.map((name) => join(release, name)), join(tree, release)])
  for (const [from, to] of [
    [tree, suite],
    [images, imagesDisk],
  ] as const) {
    await run('mksquashfs', [from, to, '-comp', 'lz4', '-no-progress', '-quiet'])
  }
  await rm(tree, { recursive: true })
  return [suite, imagesDisk]
}
