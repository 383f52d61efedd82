// What images and layers this worker has, and what an operator does with them: take some away, look whether they are sound.
import { ImageInUse, ImageUnknown } from './failure.js'
import type { PreparedImage } from './images.js'
import type { Known, KnownImages } from './known.js'
import type { LayerStore } from './layers/store.js'
import type { RemovedLayers, StoredLayer, VerifiedLayer } from './layers/upkeep.js'
import { meaningOf } from './meant.js'

export interface StoredImage {
  /** That stand for it here; sorted. */
  references: string[]
  image: PreparedImage
  /** Last use by this worker, Unix milliseconds; 0: unknown. */
  usedMs: number
  /** Runs and pulls of this worker that have it now. */
  uses: number
}

/** What is gone. */
export interface Removal {
  references: string[]
  layerKeys: string[]
  freedBytes: number
}

export class Inventory {
  #tidying: Promise<unknown> | undefined

  constructor(
    private readonly known: KnownImages,
    private readonly layers: LayerStore,
  ) {
    // Of the images that lost a layer, what their references stood for is no longer of use.
    layers.onRemoved = () => this.#tidySoon()
  }

  /** The whole images. */
  async list(): Promise<StoredImage[]> {
    await this.#tidy()
    const byDigest = new Map<string, StoredImage>()
    for (const { reference, image, usedMs } of (await this.known.all()).values()) {
      const there = byDigest.get(image.manifestDigest)
      const references = [...new Set([...(there?.references ?? []), reference])].sort()
      const uses = this.known.uses(image.manifestDigest)
      byDigest.set(image.manifestDigest, { references, image, usedMs: Math.max(usedMs, there?.usedMs ?? 0), uses })
    }
    return [...byDigest.values()]
  }

  /** Files of the store, whether an image known here has them or not. */
  storedLayers(): Promise<StoredLayer[]> {
    return this.layers.upkeep.layers()
  }

  /**
   * By reference, or by the digest of manifest or config with all its references. Layers that another image known here has, or that
   * anything uses, stay. Throws ImageUnknown, ImageInUse, ImageError.
   */
  async remove(text: string): Promise<Removal> {
    const isMeant = meaningOf(text)
    const all = await this.known.all()
    const meant = [...all].filter(([, known]) => isMeant(known))
    if (meant.length === 0) throw new ImageUnknown(`image ${text} is not on this worker`)
    for (const [key] of meant) all.delete(key)
    const others = new Set([...all.values()].map(({ image }) => image.manifestDigest))
    const last = meant.map(([, { image }]) => image).filter(({ manifestDigest }) => !others.has(manifestDigest))
    if (last.some(({ manifestDigest }) => this.known.uses(manifestDigest) > 0))
      throw new ImageInUse(`image ${text} is in use by a run`)
    for (const [key] of meant) await this.known.forget(key)
    const shared = new Set([...all.values()].flatMap(({ image }) => image.layerKeys))
    const own = new Set(last.flatMap(({ layerKeys }) => layerKeys).filter((key) => !shared.has(key)))
    return removalOf(referencesOf(meant), await this.layers.upkeep.remove([...own]))
  }

  /** All that nothing uses. */
  async prune(): Promise<Removal> {
    const removed = await this.layers.upkeep.removeUnused()
    return removalOf(await this.#tidy(), removed)
  }

  /** Reads every layer. A broken one is taken out of the store, also while a run uses it, so that the next one makes it again. */
  async verify(signal: AbortSignal, onLayer: (layer: VerifiedLayer) => void = () => {}): Promise<VerifiedLayer[]> {
    const verified = await this.layers.upkeep.verify(signal, onLayer)
    if (verified.some(({ problem }) => problem !== '')) await this.#tidy()
    return verified
  }

  /** One at a time is enough: whoever has to know tidies for himself. */
  #tidySoon(): void {
    this.#tidying ??= this.#tidy()
      // What cannot be read now is found incomplete when it is used.
      .catch(() => {})
      .finally(() => {
        this.#tidying = undefined
      })
  }

  /** Returns the references of what is no longer whole, and forgets it. */
  async #tidy(): Promise<string[]> {
    const all = await this.known.all()
    // Looked at after what is known was: an image that is being made meanwhile is not known yet.
    const stored = new Set(await this.layers.upkeep.keys())
    const incomplete = [...all].filter(([, { image }]) => !image.layerKeys.every((key) => stored.has(key)))
    for (const [key] of incomplete) await this.known.forget(key)
    return referencesOf(incomplete)
  }
}

const referencesOf = (images: [string, Known][]) => [...new Set(images.map(([, { reference }]) => reference))].sort()

const removalOf = (references: string[], { keys, bytes }: RemovedLayers): Removal => ({
  references,
  layerKeys: keys.sort(),
  freedBytes: bytes,
})
