// caisson images show: all that is known of an image, or with --files what is in its layers.

import type { Command } from 'commander'
import type { ImageDetails, ImageFiles, LayerFiles } from '../../sdk/imageModel.js'
import { type ConnectFlags, connect } from '../connectFlags.js'
import { note, write, writeJson } from '../output.js'
import { parseCount, showSize } from '../quantity.js'
import { absoluteImage } from '../specFlags.js'
import { printable, table } from '../table.js'
import { addWorkerFlags, type WorkerFlags, workerOf } from './workers.js'

type ShowFlags = WorkerFlags & ConnectFlags & { files?: boolean; layer?: string; most?: number }

export function addShow(images: Command): void {
  const command = images
    .command('show')
    .description('all that is known of an image: config, layers, sizes, what shares them')
    .argument('<image>', 'a reference, or the digest of a manifest or config')
    .option('--files', 'instead: the largest and the overwritten files of each layer')
    .option('--layer <diff-id>', 'with --files: of this layer only; or its place, from 1')
    .option('--most <n>', 'with --files: so many of each kind, 1 to 100 (default 10)', parseCount)
  addWorkerFlags(command).action((image: string, _: unknown, self: Command) =>
    show(absoluteImage(image), self.optsWithGlobals<ShowFlags>()),
  )
}

async function show(image: string, flags: ShowFlags): Promise<void> {
  using caisson = connect(flags)
  if (!flags.files && (flags.layer ?? flags.most) !== undefined) throw new Error('--layer and --most go with --files')
  const details = await caisson.images.get(image, workerOf(flags))
  if (!flags.files) return flags.json ? writeJson(details) : showDetails(details)
  const diffId = flags.layer === undefined ? {} : { diffId: diffIdOf(flags.layer, details) }
  const most = flags.most === undefined ? {} : { most: flags.most }
  const files = await caisson.images.files(image, { workerId: details.image.workerId, ...diffId, ...most })
  return flags.json ? writeJson(files) : showFiles(files, details)
}

function diffIdOf(text: string, { layers }: ImageDetails): string {
  if (!/^\d+$/.test(text)) return text
  const layer = layers[Number(text) - 1]
  if (!layer) throw new Error(`--layer ${text}: the image has ${layers.length} layers`)
  return layer.diffId
}

async function showDetails(details: ImageDetails): Promise<void> {
  const lines = Object.entries(facts(details)).filter(([, value]) => value !== '')
  const told = lines.map(([name, value]) => `${name.padEnd(12)}${printable(value)}\n`).join('')
  const rows = details.layers.map(({ diffId, blobBytes, storedBytes, sharedWith, sharedCount }, at) => {
    const others = sharedCount > 1 ? `${sharedWith[0]} (+${sharedCount - 1})` : (sharedWith[0] ?? '')
    return [String(at + 1), diffId, showSize(blobBytes), showSize(storedBytes), others]
  })
  await write(process.stdout, `${told}\n${table(['LAYER', 'DIFF ID', 'BLOB', 'STORED', 'SHARED WITH'], rows)}`)
  if (details.truncated) note('some of what the image says was cut')
}

function facts({ image, process, labels, ...about }: ImageDetails): Record<string, string> {
  return {
    image: image.references.join(' '),
    digest: image.manifestDigest,
    config: image.configDigest,
    worker: image.workerId,
    stored: showSize(image.storedBytes),
    used: image.usedAt?.toISOString() ?? '',
    uses: String(image.uses),
    platform: [about.os, about.architecture].filter(Boolean).join('/'),
    created: about.created,
    author: about.author,
    entrypoint: words(process.entrypoint),
    cmd: words(process.cmd),
    env: words(process.env),
    cwd: process.workingDir,
    user: process.user,
    labels: words(Object.entries(labels).map(([name, value]) => `${name}=${value}`)),
  }
}

const words = (list: string[]): string => (list.length > 0 ? JSON.stringify(list) : '')

async function showFiles({ layers, truncated }: ImageFiles, details: ImageDetails): Promise<void> {
  const places = new Map(details.layers.map(({ diffId }, at) => [diffId, at + 1]))
  for (const layer of layers) await write(process.stdout, layerText(layer, places.get(layer.diffId) ?? 0))
  if (truncated) note('files of the later layers were left out: ask for one with --layer')
}

function layerText(layer: LayerFiles, place: number): string {
  const { diffId, files, bytes, overwrittenFiles, overwrittenBytes, removals } = layer
  const lost = `${overwrittenFiles} of them overwritten above (${showSize(overwrittenBytes)})`
  const head = `layer ${place} ${diffId}: ${files} files, ${showSize(bytes)}; ${lost}; ${removals} removals below\n`
  const rows = [
    ...layer.largest.map((file) => ['largest', ...fileRow(file)]),
    ...layer.overwritten.map((file) => ['overwritten', ...fileRow(file)]),
  ]
  return `${head}${rows.length > 0 ? table(['', 'SIZE', 'OVERWRITTEN BY', 'PATH'], rows) : ''}\n`
}

const fileRow = ({ path, bytes, overwrittenBy }: LayerFiles['largest'][number]): string[] => [
  showSize(bytes),
  overwrittenBy === undefined ? '' : `layer ${overwrittenBy + 1}`,
  `/${path}`,
]
