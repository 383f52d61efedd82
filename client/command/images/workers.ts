// Every verb of images means one worker, or all; of those that could not, each is told, and the command fails.

import type { Command } from 'commander'
import type { WorkerFailure } from '../../sdk/imageModel.js'
import { addConnectFlags, type ConnectFlags } from '../connectFlags.js'
import { exitOwnFailure } from '../exit.js'
import { note } from '../output.js'

export interface WorkerFlags extends ConnectFlags {
  worker?: string
}

export const addWorkerFlags = (command: Command): Command =>
  addConnectFlags(command.option('--worker <id>', 'of this one only (default: all)'))

export const workerOf = ({ worker }: WorkerFlags): { workerId?: string } => (worker === undefined ? {} : { workerId: worker })

export function tellFailures(failures: WorkerFailure[]): void {
  for (const { workerId, message, reason } of failures) note(`worker ${workerId}: ${message} (${reason})`)
  if (failures.length > 0) process.exitCode = exitOwnFailure
}
