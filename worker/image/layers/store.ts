// The layer store as the worker sees it: which layers are there, and how to get the others there. Only the launcher writes into it.
import { setMaxListeners } from 'node:events'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { caisson } from '../../../proto/messages.js'
import { Failure } from '../../../proto/reason.js'
import { ImageError } from '../failure.js'
import { type Completion, convertLayer, type Layer, type Making, NoRoom } from './conversion.js'
import { emptyLayer } from './empty.js'
import { Flights } from './flights.js'
import { foldLayers } from './fold.js'
import { type Hold, Holds } from './holds.js'
import type { LayerLimits } from './limits.js'
import { foldedOf, maxLowers } from './lowers.js'
import { Slots } from './slots.js'
import { Upkeep } from './upkeep.js'

export type OnProgress = (progress: caisson.v1.IProgress) => void

export interface LayerStoreOptions {
  launcherPath: string
  /** STATE/layers/v1 */
  folder: string
  limits: LayerLimits
  /** What the store may have. */
  bytes: number
  /** Conversions at the same time. */
  parallel: number
  /** How long a launcher that is gone is waited for. */
  launcherMs: number
}

/** Keys of an image's layers, oldest first; they stay in the store until it is disposed of. */
export interface Ensured extends Disposable {
  keys: string[]
}

/** A layer of an image that is in the store, and where in the image. */
export interface Placed {
  key: string
  chainId: string
}

/** Progress is for people: so often is enough. */
const progressMs = 250
/** A layer may take more room in the store than on its way: it is compressed less there. */
const storedPerBlobByte = 4
/** A layer that needs its lowers is remembered, so that it is not converted in vain again; there are few of them. */
const maxRemembered = 10_000

const keyOf = (digest: string) => digest.replace(':', '-')
const chainKey = (chainId: string) => `chain-${chainId.slice('sha256:'.length)}`
const foldKey = (chainId: string) => `fold-${chainId.slice('sha256:'.length)}`

export class LayerStore {
  readonly #options: LayerStoreOptions
  readonly #flights = new Flights<string | undefined, caisson.v1.IProgress>()
  readonly #slots: Slots
  readonly #needLowers = new Set<string>()
  readonly #holds: Holds
  readonly upkeep: Upkeep
  /** Layers left the store, for others to have room. */
  onRemoved = () => {}

  constructor(options: LayerStoreOptions) {
    this.#options = options
    this.#slots = new Slots(options.parallel)
    this.#holds = new Holds(options.launcherPath, options.launcherMs)
    this.upkeep = new Upkeep(options.launcherPath, options.folder, this.#holds)
  }

  /** From here on, those of these layers that are there stay. */
  hold(keys: string[], signal: AbortSignal): Promise<Hold> {
    return this.#holds.hold(keys, signal)
  }

  /** Resolves once all of these layers are in the store. */
  async ensure(layers: Layer[], signal: AbortSignal, onProgress: OnProgress): Promise<Ensured> {
    // Before any is looked for, and under every name that it may have.
    const hold = await this.hold(candidates(layers), signal)
    try {
      return Object.assign(hold, { keys: await this.#ensureAll(layers, signal, onProgress) })
    } catch (error) {
      const failure = error instanceof NoRoom ? await this.#judge(error, candidates(layers)) : error
      hold[Symbol.dispose]()
      throw failure
    }
  }

  /**
   * Keys that show the same as these layers, oldest first, and are no more than `budget`: the oldest are folded into one, which stays until
   * it is disposed of.
   */
  async fit(layers: Placed[], budget: number, signal: AbortSignal): Promise<Ensured> {
    const folded = foldedOf(layers.length, budget)
    const { chainId } = layers[folded - 1] ?? {}
    const rest = layers.slice(folded).map(({ key }) => key)
    if (chainId === undefined) return { keys: rest, [Symbol.dispose]: () => {} }
    const key = foldKey(chainId)
    const hold = await this.hold([key], signal)
    try {
      if (hold.missing.length > 0) await this.#fold(layers.slice(0, folded), key, signal)
      return Object.assign(hold, { keys: [key, ...rest] })
    } catch (error) {
      const own = layers.map(({ key }) => key)
      const failure = error instanceof NoRoom ? await this.#judge(error, own) : error
      hold[Symbol.dispose]()
      throw failure
    }
  }

  async #ensureAll(layers: Layer[], signal: AbortSignal, onProgress: OnProgress): Promise<string[]> {
    // The first failure stops the others: nobody wants half an image.
    const failed = new AbortController()
    const either = AbortSignal.any([signal, failed.signal])
    setMaxListeners(0, either)
    const placed: Promise<Placed>[] = []
    for (const layer of layers) {
      const key = this.#ensure(layer, placed.slice(), either, onProgress)
      placed.push(key.then((key) => ({ key, chainId: layer.chainId })))
    }
    try {
      return (await Promise.all(placed)).map(({ key }) => key)
    } catch (error) {
      failed.abort(error)
      await Promise.allSettled(placed)
      throw error
    }
  }

  #path(key: string): string {
    return join(this.#options.folder, `${key}.sqfs`)
  }

  /** Bytes as stored; undefined: not there. */
  async storedBytes(key: string): Promise<number | undefined> {
    try {
      return (await stat(this.#path(key))).size
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  /** An image that would not fit into an empty store is at fault itself; any other one may fit when others have ended. */
  async #judge(noRoom: NoRoom, keys: string[]): Promise<Error> {
    const stored = await Promise.all(keys.map((key) => this.storedBytes(key)))
    const own = stored.reduce<number>((sum, bytes) => sum + (bytes ?? 0), noRoom.storedBytes)
    const { bytes } = this.#options
    if (own <= bytes) return noRoom
    const message = `its layers take ${own} bytes and more in the store, which may have at most ${bytes} (--store-bytes of the worker)`
    return new ImageError('IMAGE_TOO_LARGE', `the image is too large: ${message}`, { field: 'spec.image' })
  }

  async #ensure(layer: Layer, lowers: Promise<Placed>[], signal: AbortSignal, onProgress: OnProgress): Promise<string> {
    const alone = keyOf(layer.diffId)
    const completed = chainKey(layer.chainId)
    if (!this.#needLowers.has(layer.diffId)) {
      if (await this.#has(alone)) return alone
      if (await this.#has(completed)) return completed
      const key = await this.#build(alone, layer, undefined, signal, onProgress)
      if (key !== undefined) return key
      this.#remember(layer.diffId)
    }
    if (await this.#has(completed)) return completed
    using below = await this.#below(lowers, signal)
    const completion = { chainId: layer.chainId, lowers: below.keys }
    return (await this.#build(completed, layer, completion, signal, onProgress)) as string
  }

  /** What a layer is completed from. */
  async #below(lowers: Promise<Placed>[], signal: AbortSignal): Promise<Ensured> {
    const placed = await Promise.all(lowers)
    if (placed.length > 0) return await this.fit(placed, maxLowers, signal)
    const key = await this.#ensure(emptyLayer, [], signal, () => {})
    return { keys: [key], [Symbol.dispose]: () => {} }
  }

  async #fold(layers: Placed[], key: string, signal: AbortSignal): Promise<void> {
    const { chainId } = layers.at(-1) as Placed
    const work = async (signal: AbortSignal) => {
      using inputs = await this.fit(layers, maxLowers, signal)
      return await this.#slots.use(() => foldLayers({ ...this.#making(), layers: inputs.keys, chainId }, signal))
    }
    await this.#flights.join(key, signal, work)
  }

  #making(): Making {
    const { launcherPath, limits, bytes: storeBytes } = this.#options
    const makeRoom = () => this.#holds.settled()
    return { launcherPath, limits, storeBytes, makeRoom, onRemoved: () => this.onRemoved() }
  }

  /** Joins whoever builds this key already. */
  #build(
    key: string,
    layer: Layer,
    completion: Completion | undefined,
    signal: AbortSignal,
    onProgress: OnProgress,
  ): Promise<string | undefined> {
    const work = (signal: AbortSignal, report: OnProgress) =>
      (layer.slots ?? this.#slots).use(async () => {
        signal.throwIfAborted()
        const how = { ...this.#making(), layer, ...(completion && { completion }) }
        const convert = () => convertLayer({ ...how, onBytes: progressOf(layer, report) }, signal)
        return await convert().catch(async (error) => {
          if (!(await this.#hasFreed(error, layer))) throw error
          return convert()
        })
      })
    return this.#flights.join(key, signal, work, onProgress)
  }

  /** A disk that others have filled gives way too, before anybody is told of it. */
  async #hasFreed(error: unknown, { blob }: Layer): Promise<boolean> {
    if (!(error instanceof Failure) || error.reason !== 'STORE_FULL' || error instanceof NoRoom) return false
    const { keys } = await this.upkeep.free(blob.size * storedPerBlobByte)
    if (keys.length > 0) this.onRemoved()
    return keys.length > 0
  }

  async #has(key: string): Promise<boolean> {
    return (await this.storedBytes(key)) !== undefined
  }

  #remember(diffId: string): void {
    if (this.#needLowers.size >= maxRemembered) this.#needLowers.clear()
    this.#needLowers.add(diffId)
  }
}

function candidates(layers: Layer[]): string[] {
  const keys = layers.flatMap(({ diffId, chainId }) => [keyOf(diffId), chainKey(chainId)])
  return [...new Set([keyOf(emptyLayer.diffId), ...keys])]
}

/** Counts bytes that went in, and reports the first, the last, and some in between. */
function progressOf({ diffId, blob }: Layer, report: OnProgress): (bytes: number) => void {
  let doneBytes = 0
  let reportedAt = 0
  return (bytes) => {
    doneBytes += bytes
    const now = Date.now()
    if (doneBytes < blob.size && now - reportedAt < progressMs) return
    reportedAt = now
    report({ what: 'layer', digest: diffId, doneBytes, totalBytes: blob.size })
  }
}
