// The facade: from RunSpec.image to the layers in the store and the process defaults. A reference that means what it meant last time costs
// a stat and a word with the launcher.
import { statSync } from 'node:fs'
import { caisson } from '../../proto/messages.js'
import { Failure } from '../../proto/reason.js'
import { type FileReference, InvalidReference, parseReference, type Reference } from '../../proto/reference.js'
import { type RegistryReference, registryText } from '../../proto/registry.js'
import type { About } from './documents/about.js'
import { chainIds, type ImageConfig, maxConfigBytes, type ProcessDefaults, parseConfig } from './documents/config.js'
import { readVerified } from './documents/digest.js'
import type { Manifest } from './documents/manifest.js'
import { ImageError } from './failure.js'
import { Inventory } from './inventory.js'
import { type Known, KnownImages } from './known.js'
import type { Layer } from './layers/conversion.js'
import { Flights } from './layers/flights.js'
import { maxLowers } from './layers/lowers.js'
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
  about: About
  /** Of the layers, oldest first, as the manifest names them. */
  blobs: Blob[]
}

export interface Blob {
  digest: string
  size: number
}

/** Its layers stay in the store until it is disposed of, which may happen more than once. */
export interface HeldImage extends PreparedImage, Disposable {}

/** Of a run whose image is in a registry. */
export interface Wish {
  pull?: caisson.v1.Pull
  /** For the image's own registry; what was fetched with it is for runs with the same one. */
  credential?: Credential | undefined
  /** Keys that the sandbox takes at most. */
  maxLowers?: number
}

const { Pull } = caisson.v1

/** How often an image may lose a layer between being made and being held, before the store is found too small for what runs at once. */
const maxTries = 5
/** More would cost more to tell than they save. */
const maxAtHand = 8

interface Origin {
  source: Source
  manifest: Manifest
  slots?: Slots
}

interface Found {
  /** Of KnownImages. */
  key: string
  known: Known
}

export class Images {
  readonly inventory: Inventory
  readonly #known: KnownImages
  readonly #flights = new Flights<Found, caisson.v1.IProgress>()

  constructor(
    readonly folders: ImageFolders,
    readonly layers: LayerStore,
    readonly registries: Registries,
    ledger?: Ledger,
  ) {
    this.#known = new KnownImages(ledger)
    this.inventory = new Inventory(this.#known, layers)
  }

  /** Throws ImageError for what the client or the image did wrong, anything else for what we did. */
  async prepare(text: string, signal: AbortSignal, onProgress: OnProgress = () => {}, wish: Wish = {}): Promise<HeldImage> {
    const reference = parse(text)
    for (let tries = 0; tries < maxTries; tries++) {
      const { key, known } =
        reference.kind === 'registry'
          ? await this.#fromRegistry(reference, wish, signal, onProgress)
          : await this.#fromHost(text, reference, signal, onProgress)
      const hold = await this.layers.hold(known.image.layerKeys, signal)
      if (hold.missing.length === 0) return this.#fit(this.#known.use(key, known, hold), wish.maxLowers ?? maxLowers, signal)
      // A layer has left the store since.
      hold[Symbol.dispose]()
      await this.#known.forget(key)
    }
    throw new Failure(
      'STORE_FULL',
      'the layers of the image left the store as soon as they came: it is too small for what runs here',
    )
  }

  /** By reference, the images that runs of late had: most likely here, and meaning what they meant. */
  atHand(): Iterable<[reference: string, digest: string]> {
    return this.#known.latest(maxAtHand)
  }

  async #fit(image: HeldImage, budget: number, signal: AbortSignal): Promise<HeldImage> {
    if (image.layerKeys.length <= budget) return image
    const chains = chainIds(image.diffIds)
    const layers = image.layerKeys.map((key, index) => ({ key, chainId: chains[index] as string }))
    try {
      const fitted = await this.layers.fit(layers, budget, signal)
      const end = () => {
        fitted[Symbol.dispose]()
        image[Symbol.dispose]()
      }
      return { ...image, layerKeys: fitted.keys, [Symbol.dispose]: end }
    } catch (error) {
      image[Symbol.dispose]()
      throw error
    }
  }

  async #fromHost(text: string, reference: FileReference, signal: AbortSignal, onProgress: OnProgress): Promise<Found> {
    const known = await this.#unchanged(text, reference)
    if (known) return { key: text, known }
    return this.#flights.join(text, signal, (signal, report) => this.#fromFile(text, reference, signal, report), onProgress)
  }

  async #fromFile(text: string, reference: FileReference, signal: AbortSignal, onProgress: OnProgress): Promise<Found> {
    const source = await openSource(reference, this.folders)
    const identity = this.#identity(reference)
    const manifest = await source.manifest(reference)
    return this.#make({ source, manifest }, signal, onProgress, async (image) => {
      const known = { reference: text, image, identity, usedMs: 0 }
      this.#known.add(text, known)
      return { key: text, known }
    })
  }

  async #fromRegistry(reference: RegistryReference, wish: Wish, signal: AbortSignal, onProgress: OnProgress): Promise<Found> {
    const text = registryText(reference)
    // What anybody could fetch is there for everybody.
    const keys = wish.credential ? [`${text} ${wish.credential.fingerprint}`, text] : [text]
    const isAlways = wish.pull === Pull.ALWAYS
    for (const key of isAlways ? [] : keys) {
      const known = await this.#known.find(key)
      if (known) return { key, known }
    }
    if (wish.pull === Pull.NEVER) {
      const message = `image ${text} is not on this worker, and spec.pull is NEVER`
      throw new ImageError('IMAGE_NOT_PRESENT', message, { field: 'spec.image' })
    }
    const key = keys[0] as string
    const work = (signal: AbortSignal, report: OnProgress) => this.#pull(key, reference, wish, signal, report)
    return this.#flights.join(isAlways ? `${key} always` : key, signal, work, onProgress)
  }

  async #pull(
    key: string,
    reference: RegistryReference,
    wish: Wish,
    signal: AbortSignal,
    onProgress: OnProgress,
  ): Promise<Found> {
    const source = await this.registries.source(reference, wish.credential)
    const before = await this.#known.find(key)
    if (before && (await source.digestNow(signal)) === before.identity) return { key, known: before }
    const manifest = await source.manifest(reference, signal)
    const { slots } = this.registries
    const making = this.#make({ source, manifest, slots }, signal, onProgress, async (image) => {
      const { topDigest: identity } = source
      const known = { reference: registryText(reference), image, identity, usedMs: 0 }
      if (key === known.reference && identity !== undefined) await this.#known.addForAll({ ...known, identity })
      else this.#known.add(key, known)
      return { key, known }
    })
    return making.catch((error) => {
      throw source.named(error)
    })
  }

  /** Its layers stay until it is found. */
  async #make(
    { source, manifest, slots }: Origin,
    signal: AbortSignal,
    onProgress: OnProgress,
    found: (image: PreparedImage) => Promise<Found>,
  ): Promise<Found> {
    const bytes = await readVerified(source.blob(manifest.config, signal), manifest.config, maxConfigBytes)
    const config = parseConfig(bytes, manifest.config.digest)
    const layers = layersOf(source, manifest, config, slots)
    const ensured = await this.layers.ensure(layers, signal, onProgress)
    try {
      return await found({
        manifestDigest: manifest.digest,
        configDigest: manifest.config.digest,
        diffIds: config.diffIds,
        layerKeys: ensured.keys,
        storedBytes: await this.#storedBytes(ensured.keys),
        config: config.defaults,
        about: config.about,
        blobs: manifest.layers.map(({ digest, size }) => ({ digest, size })),
      })
    } finally {
      // All who wait for it have asked for a hold of their own by then.
      setImmediate(() => ensured[Symbol.dispose]())
    }
  }

  /** What is known of a reference, if its file is still as it was. */
  async #unchanged(text: string, reference: FileReference): Promise<Known | undefined> {
    const known = this.#known.seen(text)
    const identity = known && this.#identity(reference)
    return identity !== undefined && identity === known?.identity ? known : undefined
  }

  /** Not in the thread pool, where the way there and back would take ten times as long. */
  #identity(reference: FileReference): string | undefined {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = statSync(indexFile(reference), { bigint: true })
      return [dev, ino, size, mtimeNs, ctimeNs].join(':')
    } catch {
      // Whatever keeps it from being seen: reading it will tell.
      return undefined
    }
  }

  async #storedBytes(keys: string[]): Promise<number> {
    const sizes = await Promise.all([...new Set(keys)].map((key) => this.layers.storedBytes(key)))
    return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
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
