// caisson receipt keys: the keys that the living workers sign with, as PEM, for whoever wants to pin them.

import type { Command } from 'commander'
import { keyId, readKeys } from '../../sdk/receipt.js'
import { addConnectFlags, type ConnectFlags, connect } from '../connectFlags.js'
import { write, writeJson } from '../output.js'
import { printable } from '../table.js'

export function addKeys(receipt: Command): void {
  const command = receipt
    .command('keys')
    .description("the living workers' public keys, for --key of verify: keep them where you trust them")
  addConnectFlags(command).action((_: unknown, self: Command) => keys(self.optsWithGlobals<ConnectFlags>()))
}

async function keys(flags: ConnectFlags): Promise<void> {
  using caisson = connect(flags)
  for (const { workerId, hostname, receiptKey } of await caisson.workers()) {
    for (const key of readKeys(receiptKey)) {
      const pem = key.export({ type: 'spki', format: 'pem' }).toString()
      if (flags.json) await writeJson({ workerId, hostname, keyId: keyId(key), publicKey: pem })
      else await write(process.stdout, `# worker ${printable(`${workerId} on ${hostname}`)}, key ${keyId(key)}\n${pem}`)
    }
  }
}
