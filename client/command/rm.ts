// caisson rm: forgets ended runs.

import type { Command } from 'commander'
import { addConnectFlags, type ConnectFlags, connect } from './connectFlags.js'
import { eachRun } from './eachRun.js'
import { write, writeJson } from './output.js'

export function addRm(program: Command): void {
  const command = program
    .command('rm')
    .description('forget ended runs: record, output and idempotency key')
    .argument('<run-id...>')
  addConnectFlags(command).action((runIds: string[], _: unknown, self: Command) =>
    rm(runIds, self.optsWithGlobals<ConnectFlags>()),
  )
}

async function rm(runIds: string[], flags: ConnectFlags): Promise<void> {
  using caisson = connect(flags)
  await eachRun(runIds, flags.json === true, async (runId) => {
    await caisson.delete(runId)
    await (flags.json ? writeJson({ runId, deleted: true }) : write(process.stdout, `${runId} is forgotten\n`))
  })
}
