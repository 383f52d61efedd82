// One conversion of one layer: a connection to the launcher, a converter behind it, a blob through it, a file in the store.
import { constants } from 'node:os'
import type { caisson } from '../../../proto/messages.js'
import { Failure, type RunReasonName } from '../../../proto/reason.js'
import { LauncherConnection, LauncherFailed } from '../../sandbox/launcher.js'
import { unlessAborted } from '../../within.js'
import type { Descriptor } from '../documents/descriptor.js'
import { Verifier } from '../documents/digest.js'
import { ImageError, type ImageReason } from '../failure.js'
import { ConverterChannel } from './channel.js'
import { compressionOf } from './compression.js'
import type { LayerLimits } from './limits.js'
import type { Slots } from './slots.js'

/** A layer of an image, and how to get at its bytes. */
export interface Layer {
  diffId: string
  chainId: string
  blob: Descriptor
  /** False where the descriptor's digest is the DiffID, which the converter checks. */
  verifyBlob: boolean
  open(signal: AbortSignal): AsyncIterable<Buffer>
  /** Where its bytes come slowly it does not wait with, or keep waiting, those that are here. */
  slots?: Slots
}

/** Ways in which a layer can be asked for: by itself, or completed from the layers below. */
export interface Completion {
  chainId: string
  lowers: string[]
}

/** What every way to make a layer needs. */
export interface Making {
  launcherPath: string
  /** Of one layer. */
  limits: LayerLimits
  /** What the store may have, this layer included. */
  storeBytes: number
  /** Resolves when the launcher knows of everything that nobody needs any more. */
  makeRoom(): Promise<void>
  /** Layers left the store for this one. */
  onRemoved(): void
}

export interface Conversion extends Making {
  layer: Layer
  completion?: Completion
  onBytes(bytes: number): void
}

/** What is made, for messages. */
export interface Subject {
  what: string
  digest: string
}

/** With what is in use, the layer would be more than the store may have. */
export class NoRoom extends Failure {
  constructor(
    readonly storedBytes: number,
    lackingBytes: number,
    { what, digest }: Subject,
  ) {
    super(
      'STORE_FULL',
      `${what} ${digest} takes ${storedBytes} bytes: ${lackingBytes} more than the store has beside what runs use`,
    )
  }
}

/** What the converter refuses a layer for (launch.proto), and what that is to the client. */
const refusals: Partial<Record<string, ImageReason>> = {
  LAYER_DIFF_ID_MISMATCH: 'IMAGE_DIFF_ID_MISMATCH',
  LAYER_TRUNCATED: 'IMAGE_TRUNCATED',
  LAYER_TOO_LARGE: 'IMAGE_TOO_LARGE',
  LAYER_TOO_MANY_ENTRIES: 'IMAGE_TOO_LARGE',
  LAYER_BAD_ENTRY: 'IMAGE_MALFORMED',
  LAYER_BAD_COMPRESSION: 'IMAGE_MALFORMED',
}

/** And what it fails at, which is ours. */
const failures: Partial<Record<string, RunReasonName>> = {
  LAYER_STORE_FULL: 'STORE_FULL',
  LAYER_CONVERSION_FAILED: 'INTERNAL',
}

/** The key in the store; undefined: the layer cannot be understood without those below it. */
export async function convertLayer(conversion: Conversion, signal: AbortSignal): Promise<string | undefined> {
  const { layer, limits } = conversion
  if (layer.blob.size > limits.bytes) throw tooLarge(layer, limits)
  using launcher = await LauncherConnection.connect(conversion.launcherPath)
  return await unlessAborted(Promise.race([convert(launcher, conversion, signal), launcher.lost]), signal).catch(storeFull)
}

async function convert(launcher: LauncherConnection, conversion: Conversion, signal: AbortSignal): Promise<string | undefined> {
  const { layer } = conversion
  const blob = layer.open(signal)[Symbol.asyncIterator]()
  try {
    const first = await blob.next()
    const start = first.done ? Buffer.alloc(0) : first.value
    const { channelPath } = await launcher.ask({ convert: request(conversion, start) }, 'prepared')
    using channel = new ConverterChannel(channelPath)
    const verifier = layer.verifyBlob ? new Verifier(layer.blob) : undefined
    if (await pour(start, blob, channel, verifier, conversion.onBytes)) verifier?.finish()
    channel.end()
    const result = await channel.result
    if (result.needsLowers && !conversion.completion) return undefined
    const subject = { what: 'layer', digest: layer.diffId }
    checkConverted(result, subject)
    return await publish(launcher, conversion, subject)
  } finally {
    await blob.return?.()
  }
}

export async function publish(
  launcher: LauncherConnection,
  { storeBytes, makeRoom, onRemoved }: Making,
  subject: Subject,
): Promise<string> {
  await makeRoom()
  const { key, storedBytes, removed, lackingBytes } = await launcher.ask({ publish: { storeBytes } }, 'published')
  if (removed.length > 0) onRemoved()
  if (lackingBytes > 0) throw new NoRoom(storedBytes, lackingBytes, subject)
  return key
}

function request({ layer, limits, completion }: Conversion, start: Buffer): caisson.launch.v1.IConvert {
  return {
    diffId: layer.diffId,
    chainId: completion?.chainId ?? '',
    lowers: completion?.lowers ?? [],
    compression: compressionOf(start),
    maxBytes: limits.bytes,
    maxEntries: limits.entries,
  }
}

/** True: all of the blob went in. False: the converter had seen enough. */
async function pour(
  start: Buffer,
  rest: AsyncIterator<Buffer>,
  channel: ConverterChannel,
  verifier: Verifier | undefined,
  onBytes: (bytes: number) => void,
): Promise<boolean> {
  let chunk = start
  while (chunk.length > 0) {
    verifier?.update(chunk)
    if (!(await channel.send(chunk))) return false
    onBytes(chunk.length)
    const next = await rest.next()
    chunk = next.done ? Buffer.alloc(0) : next.value
  }
  return true
}

export function checkConverted(result: caisson.launch.v1.ConvertResult, { what, digest }: Subject): void {
  const { converted, refused, needsLowers } = result
  if (converted) return
  const message = `${what} ${digest}: ${refused?.message}`
  const blamed = refusals[refused?.reason ?? '']
  if (blamed) throw new ImageError(blamed, message, { digest })
  const failed = failures[refused?.reason ?? '']
  if (failed) throw new Failure(failed, message)
  throw new Failure(
    'INTERNAL',
    `converter answered out of turn: ${needsLowers ? 'NeedsLowers twice' : (refused?.reason ?? 'nothing')}`,
  )
}

/** The same fault has one name, whoever of the two met the end of the disk. */
export function storeFull(error: unknown): never {
  const isFull = error instanceof LauncherFailed && error.errno === constants.errno.ENOSPC
  throw isFull ? new Failure('STORE_FULL', error.message, { cause: error }) : error
}

function tooLarge({ diffId, blob }: Layer, { bytes }: LayerLimits): ImageError {
  const message = `layer ${diffId} has ${blob.size} bytes compressed: uncompressed, at most ${bytes} are taken`
  return new ImageError('IMAGE_TOO_LARGE', message, { digest: diffId })
}
