// caisson images list: what workers have.

import type { Command } from 'commander'
import { connect } from '../connectFlags.js'
import { note, write, writeJson } from '../output.js'
import { showMicros, showSize } from '../quantity.js'
import { table } from '../table.js'
import { addWorkerFlags, tellFailures, type WorkerFlags, workerOf } from './workers.js'

export function addList(images: Command): void {
  const command = images.command('list', { isDefault: true }).description('what workers have, newest use first')
  addWorkerFlags(command).action((_: unknown, self: Command) => list(self.optsWithGlobals<WorkerFlags>()))
}

async function list(flags: WorkerFlags): Promise<void> {
  using caisson = connect(flags)
  const { images, truncated, failures } = await caisson.images.list(workerOf(flags))
  if (flags.json) for (const image of images) await writeJson(image)
  else {
    const rows = images.flatMap(({ references, manifestDigest, layers, storedBytes, usedAt, uses, workerId }) => {
      const used = uses > 0 ? 'now' : usedAt ? `${showMicros((Date.now() - usedAt.getTime()) * 1000)} ago` : ''
      const rest = [manifestDigest.slice(0, 19), String(layers), showSize(storedBytes), used, workerId]
      return references.map((reference) => [reference, ...rest])
    })
    await write(process.stdout, table(['IMAGE', 'DIGEST', 'LAYERS', 'STORED', 'USED', 'WORKER'], rows))
  }
  if (truncated) note('a worker has more images than are listed')
  tellFailures(failures)
}
