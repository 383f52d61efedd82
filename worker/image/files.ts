// Which files the layers of an image have, as the lister told, made a message of ImageService.
import { caisson } from '../../proto/messages.js'
import { mostBytes } from './details.js'

type Listing = caisson.listing.v1.Listing

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
