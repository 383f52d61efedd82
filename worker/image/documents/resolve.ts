// From an index, or several inside each other, to the one manifest for this host. Shared by every source.

import { ImageError } from '../failure.js'
import type { Descriptor, IndexEntry } from './descriptor.js'
import {
  indexTypes,
  type Manifest,
  manifestTypes,
  maxManifestBytes,
  parseIndex,
  parseManifest,
  refuseMediaType,
} from './manifest.js'
import { platformMissing, runsHere } from './platform.js'

/** Verified bytes of a blob that is no longer than `limit`. */
export type Fetch = (descriptor: Descriptor, limit: number) => Promise<Buffer>

const maxDepth = 4
const maxIndexes = 64

export async function resolveManifest(entries: IndexEntry[], fetch: Fetch): Promise<Manifest> {
  const manifests = await new Resolver(fetch).flatten(entries, 0)
  const chosen = choose(manifests)
  return parseManifest(await fetch(chosen, maxManifestBytes), chosen)
}

class Resolver {
  #indexes = 0

  constructor(readonly fetch: Fetch) {}

  async flatten(entries: IndexEntry[], depth: number): Promise<IndexEntry[]> {
    const manifests: IndexEntry[] = []
    for (const entry of entries) {
      if (manifestTypes.includes(entry.mediaType)) manifests.push(entry)
      else if (indexTypes.includes(entry.mediaType)) manifests.push(...(await this.#nested(entry, depth + 1)))
      else if (entries.length === 1) refuseMediaType(entry)
    }
    return manifests
  }

  async #nested(entry: IndexEntry, depth: number): Promise<IndexEntry[]> {
    this.#indexes++
    if (depth > maxDepth || this.#indexes > maxIndexes) {
      const limit = `at most ${maxDepth} deep and ${maxIndexes} in all`
      throw new ImageError('IMAGE_TOO_LARGE', `index ${entry.digest}: too many indexes in each other, ${limit}`, {
        digest: entry.digest,
      })
    }
    const bytes = await this.fetch(entry, maxManifestBytes)
    return this.flatten(parseIndex(bytes, `index ${entry.digest}`, entry.mediaType), depth)
  }
}

/** The first of this host's platform; else one that does not say (its config is checked later). */
function choose(manifests: IndexEntry[]): IndexEntry {
  const chosen = manifests.find(({ platform }) => platform && runsHere(platform)) ?? manifests.find(({ platform }) => !platform)
  if (chosen) return chosen
  throw platformMissing(manifests.flatMap(({ platform }) => platform ?? []))
}
