// caisson images pull: makes images ready ahead of their first run.

import type { Command } from 'commander'
import type { PullEvent } from '../../sdk/imageModel.js'
import { connect } from '../connectFlags.js'
import { write, writeJson } from '../output.js'
import { ProgressLine } from '../progress.js'
import { showSize } from '../quantity.js'
import { addRegistryFlags, credentialOf, pullOf, type RegistryFlags } from '../registryFlags.js'
import { absoluteImage } from '../specFlags.js'
import { printable } from '../table.js'
import { addWorkerFlags, tellFailures, type WorkerFlags, workerOf } from './workers.js'

type PullFlags = WorkerFlags & RegistryFlags

export function addPull(images: Command): void {
  const command = images.command('pull').description('make images ready on all workers, or on one').argument('<image...>')
  addWorkerFlags(addRegistryFlags(command, 'always')).action((given: string[], _: unknown, self: Command) =>
    pull(given, self.optsWithGlobals<PullFlags>()),
  )
}

async function pull(images: string[], flags: PullFlags): Promise<void> {
  using caisson = connect(flags)
  const credential = await credentialOf(flags)
  for (const image of images.map(absoluteImage)) {
    const options = { ...workerOf(flags), ...policyOf(image, flags), ...credential }
    const line = new ProgressLine(process.stderr)
    try {
      for await (const event of caisson.images.pull(image, options)) {
        if (flags.json) await writeJson(event)
        else await tell(image, event, line)
        if (event.type === 'failed') tellFailures([event])
      }
    } finally {
      line.clear()
    }
  }
}

/** Who pulls wants what the name stands for now. On a worker's host there is nobody to ask. */
function policyOf(image: string, flags: PullFlags) {
  const isHere = /^(oci|oci-archive|docker-archive):/.test(image)
  return flags.pull === undefined && !isHere ? { pull: 'ALWAYS' as const } : pullOf(flags)
}

async function tell(image: string, event: PullEvent, line: ProgressLine): Promise<void> {
  if (event.type === 'progress') return line.layer(event)
  line.hide()
  if (event.type !== 'pulled') return
  const { manifestDigest, layers, storedBytes, workerId } = event.image
  const size = `${layers} ${layers === 1 ? 'layer' : 'layers'}, ${showSize(storedBytes)} as stored`
  await write(process.stdout, printable(`${image} is ${manifestDigest} on ${workerId}: ${size}`).concat('\n'))
}
