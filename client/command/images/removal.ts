// What left the stores, as `rm` and `prune` tell it.

import type { Removal } from '../../sdk/imageModel.js'
import { write, writeJson } from '../output.js'
import { showSize } from '../quantity.js'
import { printable } from '../table.js'
import { tellFailures, type WorkerFlags } from './workers.js'

export async function tellRemoval({ removed, failures }: Removal, { json }: WorkerFlags): Promise<void> {
  for (const each of removed) {
    if (json) {
      await writeJson(each)
      continue
    }
    const { workerId, references, layers, freedBytes } = each
    const gone = references.map((reference) => `${printable(reference)} is forgotten on ${workerId}\n`).join('')
    await write(
      process.stdout,
      `${gone}${workerId}: ${layers} ${layers === 1 ? 'layer' : 'layers'}, ${showSize(freedBytes)} freed\n`,
    )
  }
  tellFailures(failures)
}
