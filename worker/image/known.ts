// The images that this worker knows: what references stood for, and who uses what they stood for. What anybody could fetch from a registry
// is also on disk.

import type { HeldImage, PreparedImage } from './images.js'
import type { Hold } from './layers/holds.js'
import type { Entry, Ledger } from './ledger.js'

export interface Known {
  reference: string
  image: PreparedImage
  /**
   * Of the index file, as it was before the image was read; undefined: not to be relied on. In a registry: the digest that the reference
   * stood for.
   */
  identity: string | undefined
  usedMs: number
}

const maxKnown = 1000

export class KnownImages {
  /** By reference, and by credential where the image is for runs with that one only. */
  readonly #known = new Map<string, Known>()
  /** By digest of the manifest. */
  readonly #uses = new Map<string, number>()

  constructor(private readonly ledger?: Ledger) {}

  seen(key: string): Known | undefined {
    return this.#known.get(key)
  }

  /** Also from before this worker was started. */
  async find(key: string): Promise<Known | undefined> {
    const entry = this.#known.has(key) ? undefined : await this.ledger?.read(key)
    return this.#known.get(key) ?? (entry && knownFrom(entry))
  }

  /** Those without a credential that were used last. */
  latest(most: number): [reference: string, digest: string][] {
    const found: [string, string][] = []
    for (const [key, { reference, image, usedMs }] of [...this.#known].reverse()) {
      if (found.length === most) break
      if (key === reference && usedMs > 0) found.push([reference, image.manifestDigest])
    }
    return found
  }

  add(key: string, known: Known): void {
    this.#known.delete(key)
    this.#known.set(key, known)
    if (this.#known.size > maxKnown) this.#known.delete(this.#known.keys().next().value as string)
  }

  async addForAll(known: Known & { identity: string }): Promise<void> {
    const { reference, identity, image } = known
    this.add(reference, known)
    await this.ledger?.write({ reference, topDigest: identity, image })
  }

  /** The hold ends with the use. */
  use(key: string, known: Known, hold: Hold): HeldImage {
    const { manifestDigest } = known.image
    known.usedMs = Date.now()
    this.add(key, known)
    this.#uses.set(manifestDigest, this.uses(manifestDigest) + 1)
    let over = false
    const end = () => {
      if (over) return
      over = true
      hold[Symbol.dispose]()
      const left = this.uses(manifestDigest) - 1
      if (left > 0) this.#uses.set(manifestDigest, left)
      else this.#uses.delete(manifestDigest)
    }
    return { ...known.image, [Symbol.dispose]: end }
  }

  uses(manifestDigest: string): number {
    return this.#uses.get(manifestDigest) ?? 0
  }

  async forget(key: string): Promise<void> {
    this.#known.delete(key)
    await this.ledger?.remove(key)
  }

  /** By key. */
  async all(): Promise<Map<string, Known>> {
    const written = (await this.ledger?.entries()) ?? []
    return new Map([...written.map((entry) => [entry.reference, knownFrom(entry)] as const), ...this.#known])
  }
}

const knownFrom = ({ reference, topDigest, image }: Entry): Known => ({
  reference,
  image,
  identity: topDigest,
  usedMs: 0,
})
