// caisson images verify: the stores check themselves.

import type { Command } from 'commander'
import type { VerifyEvent } from '../../sdk/imageModel.js'
import { connect } from '../connectFlags.js'
import { exitOwnFailure } from '../exit.js'
import { note, write, writeJson } from '../output.js'
import { ProgressLine } from '../progress.js'
import { showSize } from '../quantity.js'
import { addWorkerFlags, tellFailures, type WorkerFlags, workerOf } from './workers.js'

export function addVerify(images: Command): void {
  const command = images
    .command('verify')
    .description('check every stored layer; broken ones are taken out, and made anew when they are wanted')
  addWorkerFlags(command).action((_: unknown, self: Command) => verify(self.optsWithGlobals<WorkerFlags>()))
}

async function verify(flags: WorkerFlags): Promise<void> {
  using caisson = connect(flags)
  const line = new ProgressLine(process.stderr)
  try {
    for await (const event of caisson.images.verify(workerOf(flags))) {
      if (flags.json) await writeJson(event)
      else await tell(event, line)
      if (event.type === 'failed') tellFailures([event])
      else if (event.broken.length > 0) process.exitCode = exitOwnFailure
    }
  } finally {
    line.clear()
  }
}

async function tell(event: VerifyEvent, line: ProgressLine): Promise<void> {
  if (event.type === 'failed') return line.hide()
  const checked = `${event.layers} ${event.layers === 1 ? 'layer' : 'layers'}, ${showSize(event.bytes)}`
  if (event.type === 'progress') return line.say(`checking: ${checked}`)
  line.hide()
  for (const { key, problem } of event.broken) note(`worker ${event.workerId}: ${key} was broken, and is taken out: ${problem}`)
  await write(process.stdout, `${event.workerId}: ${checked}; ${event.broken.length} broken\n`)
}
