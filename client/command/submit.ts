// caisson submit: records a run and prints its id.

import { buffer as readBuffer } from 'node:stream/consumers'
import type { Command } from 'commander'
import { addConnectFlags, type ConnectFlags, connect } from './connectFlags.js'
import { write, writeJson } from './output.js'
import { credentialOf } from './registryFlags.js'
import { addSpecFlags, type SpecFlags, specOf } from './specFlags.js'

type SubmitFlags = ConnectFlags & SpecFlags & { stdin?: boolean }

export function addSubmit(program: Command): void {
  const command = program.command('submit').description('queue a run and print its id').passThroughOptions()
  command
    .argument(
      '<image>',
      '[HOST/]NAME[:TAG][@DIGEST] of a registry; or oci:PATH[:TAG], oci-archive:PATH[:TAG], docker-archive:PATH[:TAG]',
    )
    .argument('[command...]')
  addSpecFlags(command).option('-i, --stdin', "read this input now (at most 1 MiB) as all of the program's")
  addConnectFlags(command)
  command.action((image: string, args: string[], _: unknown, self: Command) =>
    submit(image, args, self.optsWithGlobals<SubmitFlags>()),
  )
}

async function submit(image: string, args: string[], flags: SubmitFlags): Promise<void> {
  using caisson = connect(flags)
  const spec = { ...specOf(image, args, flags), ...(flags.stdin && { stdin: await readBuffer(process.stdin) }) }
  const key = flags.key === undefined ? {} : { idempotencyKey: flags.key }
  const submitted = await caisson.submit(spec, { ...key, ...(await credentialOf(flags)) })
  await (flags.json ? writeJson(submitted) : write(process.stdout, `${submitted.runId}\n`))
}
