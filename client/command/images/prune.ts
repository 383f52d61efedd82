// caisson images prune: empties the stores of what no run uses.

import type { Command } from 'commander'
import { connect } from '../connectFlags.js'
import { tellRemoval } from './removal.js'
import { addWorkerFlags, type WorkerFlags, workerOf } from './workers.js'

export function addPrune(images: Command): void {
  const command = images.command('prune').description('remove every image that no run uses')
  addWorkerFlags(command).action((_: unknown, self: Command) => prune(self.optsWithGlobals<WorkerFlags>()))
}

async function prune(flags: WorkerFlags): Promise<void> {
  using caisson = connect(flags)
  await tellRemoval(await caisson.images.prune(workerOf(flags)), flags)
}
