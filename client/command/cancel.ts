// caisson cancel: ends runs with verdict CANCELLED.

import type { Command } from 'commander'
import { addConnectFlags, type ConnectFlags, connect } from './connectFlags.js'
import { eachRun } from './eachRun.js'
import { write, writeJson } from './output.js'

export function addCancel(program: Command): void {
  const command = program.command('cancel').description('end runs').argument('<run-id...>')
  addConnectFlags(command).action((runIds: string[], _: unknown, self: Command) =>
    cancel(runIds, self.optsWithGlobals<ConnectFlags>()),
  )
}

async function cancel(runIds: string[], flags: ConnectFlags): Promise<void> {
  using caisson = connect(flags)
  await eachRun(runIds, flags.json === true, async (runId) => {
    const cancelled = await caisson.cancel(runId)
    if (flags.json) await writeJson({ runId, cancelled })
    else await write(process.stdout, `${runId} ${cancelled ? 'is being cancelled' : 'had ended'}\n`)
  })
}
