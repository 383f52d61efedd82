// caisson watch: a run's output from the start, or from a cursor, to its verdict.

import type { Command } from 'commander'
import { addConnectFlags, type ConnectFlags, connect } from './connectFlags.js'
import { exitCode, exitPipe } from './exit.js'
import { BrokenPipe, tolerateBrokenPipes } from './output.js'
import { type PresentFlags, present } from './present.js'

type WatchFlags = ConnectFlags & PresentFlags & { after?: string }

export function addWatch(program: Command): void {
  const command = program
    .command('watch')
    .description("show a run's output until its end; exits as `run` does")
    .argument('<run-id>')
  command.option('--after <cursor>', 'only what came after this event (as --json shows it)')
  addConnectFlags(command.option('-v, --verbose', 'tell states, verdict and usage'))
  command.action(async (runId: string, _: unknown, self: Command) => {
    process.exitCode = await watch(runId, self.optsWithGlobals<WatchFlags>())
  })
}

async function watch(runId: string, flags: WatchFlags): Promise<number> {
  using caisson = connect(flags)
  tolerateBrokenPipes()
  try {
    return exitCode(await present(caisson.watch(runId, { ...(flags.after && { afterCursor: flags.after }) }), flags))
  } catch (error) {
    if (error instanceof BrokenPipe) return exitPipe
    throw error
  }
}
