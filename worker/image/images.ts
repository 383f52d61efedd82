// The facade: from RunSpec.image to the layers in the store and the process defaults. A reference that means what it meant last time costs
// two stats.
import { stat } from 'node:fs/promises'
import type { caisson } from '../../proto/messages.js'
import { InvalidReference, parseReference, type Reference } from '../../proto/reference.js'
import { chainIds, type ImageConfig, maxConfigBytes, type ProcessDefaults, parseConfig } from './documents/config.js'
import { readVerified } from './documents/digest.js'
import type { Manifest } from './documents/manifest.js'
import { ImageError } from './failure.js'
import type { Layer } from './layers/conversion.js'
import { Flights } from './layers/flights.js'
import type { LayerStore, OnProgress } from './layers/store.js'
import type { ImageFolders } from './sources/folders.js'
import { indexFile, openSource } from './sources/open.js'
import type { Source } from './sources/source.js'

export interface PreparedImage {
  manifestDigest: string
  configDigest: string
  diffIds: string[]
  /** In the store, oldest first. */
  layerKeys: string[]
  storedBytes: number
  config: ProcessDefaults
}

interface Known {
  image: PreparedImage
  /** Of the index file, as it was before the image was read; undefined: not to be relied on. */
  identity: string | undefined
  /** Of the store, since all layers were seen in it. */
  generation: string
  usedMs: number
  announced: boolean
}

const maxKnown = 1000

export class Images {
  readonly #known = new Map<string, Known>()
  readonly #flights = new Flights<PreparedImage, caisson.v1.IProgress>()

  constructor(
    readonly folders: ImageFolders,
    readonly layers: LayerStore,
  ) {}

  /** Throws ImageError for what the client or the image did wrong, anything else for what we did. */
  async prepare(text: string, signal: AbortSignal, onProgress?: OnProgress): Promise<PreparedImage> {
    const known = await this.#unchanged(text)
    if (known) return this.#use(text, known)
    return this.#flights.join(text, signal, (signal, report) => this.#prepare(text, signal, report), onProgress)
  }

  /** Images used since the last call, to be told to HostService.ListImages; the worker adds its id. */
  takeUsed(): caisson.v1.IImage[] {
    const fresh = [...this.#known].filter(([, { announced }]) => !announced)
    return fresh.map(([reference, known]) => {
      known.announced = true
      const { manifestDigest, diffIds, storedBytes } = known.image
      const usedAt = { seconds: Math.floor(known.usedMs / 1000), nanos: (known.usedMs % 1000) * 1_000_000 }
      return { reference, manifestDigest, diffIds, storedBytes, usedAt }
    })
  }

  async #prepare(text: string, signal: AbortSignal, onProgress: OnProgress): Promise<PreparedImage> {
    const reference = parse(text)
    const source = await openSource(reference, this.folders)
    const identity = await this.#identity(reference)
    const manifest = await source.manifest(reference)
    const config = parseConfig(
      await readVerified(source.blob(manifest.config), manifest.config, maxConfigBytes),
      manifest.config.digest,
    )
    const layerKeys = await this.layers.ensure(layersOf(source, manifest, config), signal, onProgress)
    const generation = await this.layers.generation()
    const storedBytes = await this.#storedBytes(layerKeys)
    if (storedBytes === undefined) throw new Error(`a layer of ${manifest.digest} has left the store`)
    const image = {
      manifestDigest: manifest.digest,
      configDigest: manifest.config.digest,
      diffIds: config.diffIds,
      layerKeys,
      storedBytes,
      config: config.defaults,
    }
    return this.#use(text, { image, identity, generation, usedMs: 0, announced: false })
  }

  /** What is known of a reference, if its file and all its layers are still as they were. */
  async #unchanged(text: string): Promise<Known | undefined> {
    const known = this.#known.get(text)
    if (!known) return undefined
    const [identity, generation] = await Promise.all([this.#identity(parse(text)), this.layers.generation()])
    if (identity === undefined || identity !== known.identity) return undefined
    if (generation === known.generation) return known
    if ((await this.#storedBytes(known.image.layerKeys)) === undefined) return undefined
    known.generation = generation
    return known
  }

  #use(text: string, known: Known): PreparedImage {
    known.usedMs = Date.now()
    known.announced = false
    this.#known.delete(text)
    this.#known.set(text, known)
    if (this.#known.size > maxKnown) this.#known.delete(this.#known.keys().next().value as string)
    return known.image
  }

  async #identity(reference: Reference): Promise<string | undefined> {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(indexFile(reference), { bigint: true })
      return [dev, ino, size, mtimeNs, ctimeNs].join(':')
    } catch {
      // Whatever keeps it from being seen: reading it will tell.
      return undefined
    }
  }

  /** Undefined: not all of them are there. */
  async #storedBytes(keys: string[]): Promise<number | undefined> {
    const sizes = await Promise.all(keys.map((key) => this.layers.storedBytes(key)))
    return sizes.includes(undefined) ? undefined : sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
  }
}

function parse(text: string): Reference {
  try {
    return parseReference(text)
  } catch (error) {
    if (!(error instanceof InvalidReference)) throw error
    throw new ImageError('IMAGE_REFERENCE', `spec.image ${error.message}`, { field: error.field })
  }
}

function layersOf(source: Source, manifest: Manifest, { diffIds }: ImageConfig): Layer[] {
  if (manifest.layers.length !== diffIds.length) {
    const counts = `${manifest.layers.length} layers, but its config has ${diffIds.length} diff_ids`
    throw new ImageError('IMAGE_MALFORMED', `image ${manifest.digest} has ${counts}`, { digest: manifest.digest })
  }
  const chains = chainIds(diffIds)
  return manifest.layers.map((blob, index) => ({
    diffId: diffIds[index] as string,
    chainId: chains[index] as string,
    blob,
    verifyBlob: source.layerDigest === 'blob',
    open: (signal) => source.blob(blob, signal),
  }))
}
