// caisson receipt show: what a run's receipt says, or with --json the receipt itself, to be kept and verified.

import type { Command } from 'commander'
import { unverifiedReceipt } from '../../sdk/receipt.js'
import { addConnectFlags, type ConnectFlags, connect } from '../connectFlags.js'
import { write } from '../output.js'
import { describe } from './describe.js'

export function addShow(receipt: Command): void {
  const command = receipt
    .command('show')
    .description('what the receipt of an ended run says; with --json the signed receipt itself')
    .argument('<run-id>')
  addConnectFlags(command).action((runId: string, _: unknown, self: Command) => show(runId, self.optsWithGlobals<ConnectFlags>()))
}

async function show(runId: string, flags: ConnectFlags): Promise<void> {
  using caisson = connect(flags)
  const envelope = await caisson.receipt(runId)
  await write(process.stdout, flags.json ? `${envelope}\n` : describe(unverifiedReceipt(envelope)))
}
