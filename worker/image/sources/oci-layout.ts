import type { FileReference } from '../../../proto/reference.js'
import type { Descriptor, IndexEntry } from '../documents/descriptor.js'
import { readVerified } from '../documents/digest.js'
import { JsonField } from '../documents/json.js'
import { type Manifest, maxManifestBytes, parseIndex } from '../documents/manifest.js'
import { runsHere } from '../documents/platform.js'
import { resolveManifest } from '../documents/resolve.js'
import { ImageError } from '../failure.js'
import type { Files, Region } from './region.js'
import { selectionError } from './selection.js'
import type { Source } from './source.js'

const maxMarkerBytes = 4096

/** An OCI image layout, in a folder or in a tar. */
export class OciLayout implements Source<FileReference> {
  readonly layerDigest = 'blob'

  constructor(readonly files: Files) {}

  async manifest(reference: FileReference): Promise<Manifest> {
    await this.#checkMarker()
    const index = await (await this.#file('index.json')).read(maxManifestBytes)
    const entries = select(parseIndex(index, `index.json in ${this.files.label}`), reference)
    return resolveManifest(entries, (descriptor, limit) => readVerified(this.blob(descriptor), descriptor, limit))
  }

  async *blob(descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Buffer> {
    yield* (await this.#blob(descriptor)).stream(signal)
  }

  async #checkMarker(): Promise<void> {
    const marker = JsonField.parse(
      await (await this.#file('oci-layout')).read(maxMarkerBytes),
      `oci-layout in ${this.files.label}`,
    )
    const version = marker.field('imageLayoutVersion')
    if (!version.string().startsWith('1.'))
      throw new ImageError('IMAGE_UNSUPPORTED', `${version.where} is ${version.string()}, only 1.x is known`)
  }

  async #blob({ digest }: Descriptor): Promise<Region> {
    const region = await this.files.open(`blobs/${digest.replace(':', '/')}`)
    if (region) return region
    throw new ImageError('IMAGE_MALFORMED', `blob ${digest} is missing in ${this.files.label}`, { digest })
  }

  async #file(name: string): Promise<Region> {
    const region = await this.files.open(name)
    if (region) return region
    const message = `spec.image: no OCI image layout at ${this.files.label} (no readable ${name} in it), or it leads out of the folders that the worker's operator allowed (--images)`
    throw new ImageError('IMAGE_NOT_FOUND', message, { field: 'spec.image' })
  }
}

function select(entries: IndexEntry[], { path, tag, digest }: FileReference): IndexEntry[] {
  const named = entries.filter(
    (entry) => (tag === undefined || entry.name === tag) && (digest === undefined || entry.digest === digest),
  )
  const distinct = [...new Map(named.map((entry) => [entry.digest, entry])).values()]
  const ours = distinct.filter(({ platform }) => platform && runsHere(platform))
  // One image for several platforms may lie here without an index of its own.
  const isOneImage = distinct.every(({ platform }) => platform) && ours.length < 2
  if (distinct.length === 1 || (distinct.length > 1 && isOneImage)) return distinct
  const names = entries.flatMap(({ name }) => name ?? [])
  throw selectionError(path, tag ?? digest, distinct.length, names)
}
