import { caisson } from '../../../proto/messages.js'

const { Compression } = caisson.launch.v1

const gzip = Buffer.from([0x1f, 0x8b])
const zstd = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

/** From what the blob begins with: media types lie, and Docker archives have none. */
export function compressionOf(start: Buffer): caisson.launch.v1.Compression {
  if (start.subarray(0, gzip.length).equals(gzip)) return Compression.GZIP
  if (start.subarray(0, zstd.length).equals(zstd) || skippableFrame(start)) return Compression.ZSTD
  return Compression.NONE
}

/** A zstd stream may begin with metadata in a frame that decoders skip. No tar begins like this: its first bytes are a name. */
const skippableFrame = (start: Buffer): boolean => start.length >= 4 && (start.readUInt32LE(0) & 0xfffffff0) >>> 0 === 0x184d2a50
