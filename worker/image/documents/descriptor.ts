import { isDigest } from '../../../proto/reference.js'
import type { JsonField } from './json.js'

export interface Descriptor {
  mediaType: string
  digest: string
  size: number
}

export interface Platform {
  os: string
  architecture: string
  variant: string
}

/** One line of an index. */
export interface IndexEntry extends Descriptor {
  platform?: Platform
  /** org.opencontainers.image.ref.name */
  name?: string
}

export function parseDescriptor(json: JsonField): Descriptor {
  const mediaType = json.field('mediaType').string()
  return { mediaType, digest: parseDigest(json.field('digest')), size: json.field('size').size() }
}

export function parseDigest(json: JsonField): string {
  const digest = json.string()
  return isDigest(digest) ? digest : json.refuse('must be sha256:<64 hex digits> or sha512:<128 hex digits>')
}

export function parseIndexEntry(json: JsonField): IndexEntry {
  const entry: IndexEntry = parseDescriptor(json)
  const platform = json.field('platform')
  if (!platform.absent) entry.platform = parsePlatform(platform)
  const annotations = json.field('annotations')
  const name = annotations.absent ? annotations : annotations.field('org.opencontainers.image.ref.name')
  if (!name.absent) entry.name = name.string()
  return entry
}

function parsePlatform(json: JsonField): Platform {
  const variant = json.field('variant')
  return {
    os: json.field('os').string(),
    architecture: json.field('architecture').string(),
    variant: variant.absent ? '' : variant.string(),
  }
}
