// caisson images history: each layer with the instruction that made it, newest first, as people know it from Docker.

import type { Command } from 'commander'
import type { ImageDetails, ImageLayer, ImageStep } from '../../sdk/imageModel.js'
import { type ConnectFlags, connect } from '../connectFlags.js'
import { note, write, writeJson } from '../output.js'
import { showSize } from '../quantity.js'
import { absoluteImage } from '../specFlags.js'
import { shorten, table } from '../table.js'
import { addWorkerFlags, type WorkerFlags, workerOf } from './workers.js'

type HistoryFlags = WorkerFlags & ConnectFlags & { full?: boolean }

export function addHistory(images: Command): void {
  const command = images
    .command('history')
    .description('each layer of an image with the instruction that made it, newest first')
    .argument('<image>', 'a reference, or the digest of a manifest or config')
    .option('--full', 'instructions and digests in full')
  addWorkerFlags(command).action((image: string, _: unknown, self: Command) =>
    history(absoluteImage(image), self.optsWithGlobals<HistoryFlags>()),
  )
}

async function history(image: string, flags: HistoryFlags): Promise<void> {
  using caisson = connect(flags)
  const details = await caisson.images.get(image, workerOf(flags))
  const steps = stepsOf(details)
  if (flags.json) {
    for (const { layer, ...step } of steps) await writeJson({ ...step, ...layer })
    return
  }
  const rows = steps.map(({ created, createdBy, place, layer }) => {
    const digest = layer?.diffId ?? ''
    const sizes = layer ? [showSize(layer.blobBytes), showSize(layer.storedBytes)] : ['', '']
    const by = flags.full ? createdBy : shorten(createdBy, 80)
    return [place, flags.full ? digest : digest.slice(7, 19), ...sizes, created.slice(0, 19), by]
  })
  await write(process.stdout, table(['LAYER', 'DIFF ID', 'BLOB', 'STORED', 'CREATED', 'CREATED BY'], rows))
  if (details.truncated) note('some of what the image says was cut')
}

interface Made {
  created: string
  createdBy: string
  comment: string
  /** Of the layer, from 1; empty where the step made none. */
  place: string
  layer?: ImageLayer
}

/** Newest first; layers of which the history says nothing stand on top. */
function stepsOf({ history, layers }: ImageDetails): Made[] {
  const told = new Set(history.map(({ layer }) => layer))
  const untold = layers.flatMap((layer, at) => (told.has(at) ? [] : [{ ...nothing, place: String(at + 1), layer }]))
  return [...history.map((step) => made(step, layers)), ...untold].reverse()
}

const nothing = { created: '', createdBy: '', comment: '' }

function made({ created, createdBy, comment, layer: at }: ImageStep, layers: ImageLayer[]): Made {
  const layer = at === undefined ? undefined : layers[at]
  return { created, createdBy, comment, place: at === undefined ? '' : String(at + 1), ...(layer && { layer }) }
}
