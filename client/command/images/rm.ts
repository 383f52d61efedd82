// caisson images rm: forgets references, and removes what no other needs.

import type { Command } from 'commander'
import { connect } from '../connectFlags.js'
import { absoluteImage } from '../specFlags.js'
import { tellRemoval } from './removal.js'
import { addWorkerFlags, type WorkerFlags, workerOf } from './workers.js'

export function addRemove(images: Command): void {
  const command = images
    .command('rm')
    .description('forget references of images; layers go that no other image has. Refused while a run uses the image')
    .argument('<image...>', 'references, or digests of manifests or configs')
  addWorkerFlags(command).action((given: string[], _: unknown, self: Command) =>
    remove(given, self.optsWithGlobals<WorkerFlags>()),
  )
}

async function remove(images: string[], flags: WorkerFlags): Promise<void> {
  using caisson = connect(flags)
  for (const image of images.map(absoluteImage)) await tellRemoval(await caisson.images.remove(image, workerOf(flags)), flags)
}
