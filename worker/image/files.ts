// Which files the layers of an image have, as the lister finds them (native/lister): a process with the open layers and nothing else, that reads
// the squashfs images we built, and never the image's own tars.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type FileHandle, open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { FrameDecoder } from '../../proto/frame.js'
import { caisson } from '../../proto/messages.js'
import { mostBytes } from './details.js'

const { Listing } = caisson.listing.v1
type Listing = caisson.listing.v1.Listing

// dist/worker/image/ → target/release/
const program = fileURLToPath(new URL('../../../target/release/caisson-lister', import.meta.url))
const patienceMs = 90_000
const tooManyExit = 3
const mostMessageBytes = 4_096

/** More entries in all than are compared. */
export class TooManyFiles extends Error {
  override readonly name = 'TooManyFiles'
}

/** `paths`: of the layers, oldest first. `only`: the place of the only layer that is told of. */
export async function listFiles(
  paths: string[],
  most: number,
  only: number | undefined,
  signal: AbortSignal,
): Promise<Listing[]> {
  const layers: FileHandle[] = []
  try {
    for (const path of paths) layers.push(await open(path))
    return await list(layers, [paths.length, most, ...(only === undefined ? [] : [only])].map(String), signal)
  } finally {
    await Promise.all(layers.map((layer) => layer.close()))
  }
}

async function list(layers: FileHandle[], args: string[], signal: AbortSignal): Promise<Listing[]> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe', ...layers.map(({ fd }) => fd)],
    env: {},
    cwd: '/',
    signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]),
    killSignal: 'SIGKILL',
  })
  const closed = once(child, 'close')
  closed.catch(() => {})
  const [, stdout, stderr] = child.stdio as unknown as [null, Readable, Readable]
  const [listings, message] = await Promise.all([read(stdout), textOf(stderr), closed])
  if (child.exitCode === 0) return listings
  if (child.exitCode === tooManyExit) throw new TooManyFiles(message.replace(/^caisson-lister: /, ''))
  throw new Error(`the lister ended with ${child.exitCode ?? child.signalCode}: ${message}`)
}

/** As many as there are layers: each a frame, and a frame is bounded. */
async function read(stream: Readable): Promise<Listing[]> {
  const decoder = new FrameDecoder()
  const listings: Listing[] = []
  for await (const chunk of stream) for (const frame of decoder.push(chunk as Buffer)) listings.push(Listing.decode(frame))
  return listings
}

async function textOf(stream: Readable): Promise<string> {
  let text = ''
  for await (const chunk of stream) text = (text + String(chunk)).slice(0, mostMessageBytes)
  return text.trim()
}

/** What an answer has room for: every layer, and the files of the first of them. */
export function filesOf(listings: Listing[], diffIds: string[]): caisson.v1.IImageFilesResponse {
  let left = mostBytes
  let truncated = false
  const layers = listings.map((listing) => {
    const layer = layerOf(listing, diffIds[listing.layer] ?? '')
    left -= caisson.v1.LayerFiles.encode(layer).len + 8
    if (left >= 0) return layer
    truncated = true
    return { ...layer, largest: [], overwritten: [] }
  })
  return { layers, truncated }
}

const layerOf = (listing: Listing, diffId: string): caisson.v1.ILayerFiles => ({
  diffId,
  files: listing.files,
  bytes: listing.bytes,
  overwrittenFiles: listing.overwrittenFiles,
  overwrittenBytes: listing.overwrittenBytes,
  removals: listing.removals,
  largest: listing.largest.map(fileOf),
  overwritten: listing.overwritten.map(fileOf),
})

const fileOf = ({ path, bytes, overwrittenBy }: caisson.listing.v1.IFile): caisson.v1.ILayerFile => ({
  path: Buffer.from(path ?? []).toString('utf8'),
  bytes: bytes ?? 0,
  ...(overwrittenBy != null && { overwrittenBy }),
})
