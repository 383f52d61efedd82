// caisson run: as if the program ran here.

import type { Command } from 'commander'
import type { Caisson } from '../sdk/caisson.js'
import type { RunEvent } from '../sdk/model.js'
import { addConnectFlags, type ConnectFlags, connect } from './connectFlags.js'
import { exitCode, exitPipe } from './exit.js'
import { BrokenPipe, note, tolerateBrokenPipes } from './output.js'
import { type PresentFlags, present } from './present.js'
import { credentialOf } from './registryFlags.js'
import { SignalRelay } from './signals.js'
import { addSpecFlags, type SpecFlags, specOf } from './specFlags.js'
import { hasInput, passInput } from './stdin.js'

type RunFlags = ConnectFlags & SpecFlags & PresentFlags & { stdin: boolean }

const help = `
Behaves like the program itself: its output, its input, Ctrl-C (a second one cancels the run), and its exit code. Else it exits with
  124 wall or cpu time was up     126 the command cannot be executed    130 cancelled            141 our output's reader is gone
  125 caisson failed or refused   127 the command was not found         137 out of memory        153 output limit      128+n signal n
In the background of a terminal give it -n, as it reads the terminal otherwise.`

export function addRun(program: Command): void {
  const command = program.command('run').description('run a program, here and now').passThroughOptions()
  command
    .argument(
      '<image>',
      '[HOST/]NAME[:TAG][@DIGEST] of a registry; or oci:PATH[:TAG], oci-archive:PATH[:TAG], docker-archive:PATH[:TAG]',
    )
    .argument('[command...]')
  addSpecFlags(command)
    .option('-n, --no-stdin', 'the program reads /dev/null')
    .option('-v, --verbose', 'tell states, verdict and usage')
  addConnectFlags(command).addHelpText('after', help)
  command.action(async (image: string, args: string[], _: unknown, self: Command) => {
    process.exitCode = await run(image, args, self.optsWithGlobals<RunFlags>())
  })
}

async function run(image: string, args: string[], flags: RunFlags): Promise<number> {
  using caisson = connect(flags)
  using signals = new SignalRelay(caisson)
  tolerateBrokenPipes()
  const input = flags.stdin && hasInput() ? new InputOnce(caisson) : undefined
  const spec = { ...specOf(image, args, flags), ...(input && { stdin: 'attach' as const }) }
  const key = flags.key === undefined ? {} : { idempotencyKey: flags.key }
  const followed = caisson.run(spec, { ...key, ...(await credentialOf(flags)), ...input?.options })
  try {
    const verdict = await present(followed, flags, (event) => {
      signals.see(event)
      input?.see(event)
    })
    return exitCode(verdict)
  } catch (error) {
    const why = input?.failure ?? error
    const { runId } = followed
    if (runId !== undefined && (why instanceof BrokenPipe || input?.failure)) await caisson.cancel(runId)
    if (why instanceof BrokenPipe) return exitPipe
    if (runId !== undefined && !input?.failure) note(`run ${runId} may still go on: caisson watch ${runId}`)
    throw why
  } finally {
    input?.close()
  }
}

/** Starts passing input with the run's first event; a failure of it ends the watch. */
class InputOnce {
  readonly #over = new AbortController()
  readonly #failed = new AbortController()
  readonly options = { signal: this.#failed.signal }
  #passing = false
  failure: Error | undefined

  constructor(private readonly caisson: Caisson) {}

  see({ runId }: RunEvent): void {
    if (this.#passing) return
    this.#passing = true
    passInput(this.caisson, runId, this.#over.signal).catch((error: Error) => {
      this.failure = error
      this.#failed.abort(error)
    })
  }

  close(): void {
    this.#over.abort()
  }
}
