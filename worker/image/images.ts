// The facade: from RunSpec.image to the layers in the store and the process defaults. A reference that means what it meant last time costs
// two stats.
import { stat } from 'node:fs/promises'
import { caisson } from '../../proto/messages.js'
import { type FileReference, InvalidReference, parseReference, type Reference } from '../../proto/reference.js'
import { type RegistryReference, registryText } from '../../proto/registry.js'
import { chainIds, type ImageConfig, maxConfigBytes, type ProcessDefaults, parseConfig } from './documents/config.js'
import { readVerified } from './documents/digest.js'
import type { Manifest } from './documents/manifest.js'
import { ImageError } from './failure.js'
import type { Layer } from './layers/conversion.js'
import { Flights } from './layers/flights.js'
import type { Slots } from './layers/slots.js'
import type { LayerStore, OnProgress } from './layers/store.js'
import type { Ledger } from './ledger.js'
import type { Credential } from './registry/credential.js'
import type { Registries } from './registry/registries.js'
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

/** Of a run whose image is in a registry. */
export interface Wish {
  pull?: caisson.v1.Pull
  /** For the image's own registry; what was fetched with it is for runs with the same one. */
  credential?: Credential | undefined
}

interface Known {
  reference: string
  image: PreparedImage
  /**
   * Of the index file, as it was before the image was read; undefined: not to be relied on. In a registry: the digest that the reference
   * stood for.
   */
  identity: string | undefined
  /** Of the store, since all layers were seen in it. */
  generation: string
  usedMs: number
  announced: boolean
}

const { Pull } = caisson.v1

const maxKnown = 1000

export class Images {
  readonly #known = new Map<string, Known>()
  readonly #flights = new Flights<PreparedImage, caisson.v1.IProgress>()

  constructor(
    readonly folders: ImageFolders,
    readonly layers: LayerStore,
    readonly registries: Registries,
    readonly ledger?: Ledger,
  ) {}

  /** Throws ImageError for what the client or the image did wrong, anything else for what we did. */
  async prepare(text: string, signal: AbortSignal, onProgress?: OnProgress, wish: Wish = {}): Promise<PreparedImage> {
    const reference = parse(text)
    if (reference.kind === 'registry') return this.#fromRegistry(reference, wish, signal, onProgress)
    const known = await this.#unchanged(text, reference)
    if (known) return this.#use(text, known)
    return this.#flights.join(text, signal, (signal, report) => this.#fromFile(text, reference, signal, report), onProgress)
  }

  /** Images used since the last call, to be told to HostService.ListImages; the worker adds its id. */
  takeUsed(): caisson.v1.IImage[] {
    const fresh = [...this.#known].filter(([, { announced }]) => !announced)
    return fresh.map(([, known]) => {
      known.announced = true
      const { reference } = known
      const { manifestDigest, diffIds, storedBytes } = known.image
      const usedAt = { seconds: Math.floor(known.usedMs / 1000), nanos: (known.usedMs % 1000) * 1_000_000 }
      return { reference, manifestDigest, diffIds, storedBytes, usedAt }
    })
  }

  async #fromFile(text: string, reference: FileReference, signal: AbortSignal, onProgress: OnProgress): Promise<PreparedImage> {
    const source = await openSource(reference, this.folders)
    const identity = await this.#identity(reference)
    const manifest = await source.manifest(reference)
    const prepared = await this.#prepare(source, manifest, signal, onProgress)
    return this.#use(text, { ...prepared, reference: text, identity })
  }

  async #fromRegistry(
    reference: RegistryReference,
    wish: Wish,
    signal: AbortSignal,
    onProgress?: OnProgress,
  ): Promise<PreparedImage> {
    const text = registryText(reference)
    // What anybody could fetch is there for everybody.
    const keys = wish.credential ? [`${text} ${wish.credential.fingerprint}`, text] : [text]
    const isAlways = wish.pull === Pull.ALWAYS
    for (const key of isAlways ? [] : keys) {
      const known = await this.#pulled(key)
      if (known) return this.#use(key, known)
    }
    if (wish.pull === Pull.NEVER) {
      const message = `image ${text} is not on this worker, and spec.pull is NEVER`
      throw new ImageError('IMAGE_NOT_PRESENT', message, { field: 'spec.image' })
    }
    const key = keys[0] as string
    const work = (signal: AbortSignal, report: OnProgress) => this.#pull(key, reference, wish, signal, report)
    return this.#flights.join(isAlways ? `${key} always` : key, signal, work, onProgress)
  }

  async #pull(key: string, reference: RegistryReference, wish: Wish, signal: AbortSignal, onProgress: OnProgress) {
    const source = await this.registries.source(reference, wish.credential)
    const known = await this.#pulled(key)
    if (known && (await source.digestNow(signal)) === known.identity) return this.#use(key, known)
    const manifest = await source.manifest(reference, signal)
    const preparing = this.#prepare(source, manifest, signal, onProgress, this.registries.slots)
    const prepared = await preparing.catch((error) => {
      throw source.named(error)
    })
    const pulled: Known = { ...prepared, reference: registryText(reference), identity: source.topDigest }
    if (key === pulled.reference && source.topDigest !== undefined) {
      await this.ledger?.write({ reference: key, topDigest: source.topDigest, image: pulled.image })
    }
    return this.#use(key, pulled)
  }

  /** In memory, or from before this worker was started. Undefined also when a layer has left the store. */
  async #pulled(key: string): Promise<Known | undefined> {
    const known = this.#known.get(key)
    if (known) return this.#stored(known)
    const entry = await this.ledger?.read(key)
    if (!entry) return undefined
    const { reference, topDigest, image } = entry
    return this.#stored({ reference, image, identity: topDigest, generation: '', usedMs: 0, announced: false })
  }

  async #prepare(source: Source, manifest: Manifest, signal: AbortSignal, onProgress: OnProgress, slots?: Slots) {
    const bytes = await readVerified(source.blob(manifest.config, signal), manifest.config, maxConfigBytes)
    const config = parseConfig(bytes, manifest.config.digest)
    const layers = layersOf(source, manifest, config, slots)
    const layerKeys = await this.layers.ensure(layers, signal, onProgress)
    const generation = await this.layers.generation()
    const storedBytes = await this.#storedBytes(layerKeys)
    if (storedBytes === undefined) throw new Error(`a layer of ${manifest.digest} has left the store`)
    const image: PreparedImage = {
      manifestDigest: manifest.digest,
      configDigest: manifest.config.digest,
      diffIds: config.diffIds,
      layerKeys,
      storedBytes,
      config: config.defaults,
    }
    return { image, generation, usedMs: 0, announced: false }
  }

  /** What is known of a reference, if its file and all its layers are still as they were. */
  async #unchanged(text: string, reference: FileReference): Promise<Known | undefined> {
    const known = this.#known.get(text)
    if (!known) return undefined
    const [identity, stored] = await Promise.all([this.#identity(reference), this.#stored(known)])
    return identity !== undefined && identity === known.identity ? stored : undefined
  }

  /** Undefined: a layer has left the store. */
  async #stored(known: Known | undefined): Promise<Known | undefined> {
    if (!known) return undefined
    const generation = await this.layers.generation()
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

  async #identity(reference: FileReference): Promise<string | undefined> {
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

function layersOf(source: Source, manifest: Manifest, { diffIds }: ImageConfig, slots?: Slots): Layer[] {
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
    ...(slots && { slots }),
  }))
}
