// What the store has, and what becomes of it besides being used. Only the launcher changes it.
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { caisson } from '../../../proto/messages.js'
import { LauncherConnection } from '../../sandbox/launcher.js'
import { unlessAborted } from '../../within.js'
import type { Holds } from './holds.js'
import { listLayers } from './listing.js'

export interface StoredLayer {
  key: string
  storedBytes: number
  /** Unix milliseconds. */
  usedMs: number
  madeMs: number
}

export interface VerifiedLayer {
  key: string
  storedBytes: number
  /** Empty: it is sound. Else what was wrong; it is gone from the store. */
  problem: string
}

export interface RemovedLayers {
  keys: string[]
  bytes: number
}

const suffix = '.sqfs'
const keyPattern = /^(?:sha256|chain|fold)-[0-9a-f]{64}$/
/** Of one request. */
const maxKeys = 1024

export class Upkeep {
  constructor(
    private readonly launcherPath: string,
    private readonly folder: string,
    private readonly holds: Holds,
  ) {}

  async keys(): Promise<string[]> {
    const names = await readdir(this.folder)
    const keys = names.filter((name) => name.endsWith(suffix)).map((name) => name.slice(0, -suffix.length))
    return keys.filter((key) => keyPattern.test(key)).sort()
  }

  async layers(): Promise<StoredLayer[]> {
    const layers = await Promise.all((await this.keys()).map((key) => this.#layer(key)))
    return layers.filter((layer) => layer !== undefined)
  }

  /** Of layers that are held. */
  files(list: caisson.launch.v1.IList, signal: AbortSignal): Promise<caisson.listing.v1.Listing[]> {
    return listLayers(this.launcherPath, list, signal)
  }

  /** Of these, all that nothing uses. */
  async remove(keys: string[]): Promise<RemovedLayers> {
    const removed: RemovedLayers = { keys: [], bytes: 0 }
    await this.holds.settled()
    using launcher = await LauncherConnection.connect(this.launcherPath)
    for (let at = 0; at < keys.length; at += maxKeys) {
      const part = await launcher.ask({ remove: { keys: keys.slice(at, at + maxKeys) } }, 'removed')
      removed.keys.push(...part.keys)
      removed.bytes += part.bytes
    }
    return removed
  }

  /** All that nothing uses. */
  async removeUnused(): Promise<RemovedLayers> {
    await this.holds.settled()
    using launcher = await LauncherConnection.connect(this.launcherPath)
    return await launcher.ask({ remove: { keepBytes: 0 } }, 'removed')
  }

  /** So many bytes, of what was not used for the longest; less where not so much is unused. */
  async free(bytes: number): Promise<RemovedLayers> {
    const stored = (await this.layers()).reduce((sum, { storedBytes }) => sum + storedBytes, 0)
    using launcher = await LauncherConnection.connect(this.launcherPath)
    return await launcher.ask({ remove: { keepBytes: Math.max(0, stored - bytes) } }, 'removed')
  }

  /** Sound and broken ones, by key. */
  async verify(signal: AbortSignal, onLayer: (layer: VerifiedLayer) => void): Promise<VerifiedLayer[]> {
    const verified: VerifiedLayer[] = []
    await this.holds.settled()
    using launcher = await LauncherConnection.connect(this.launcherPath)
    for (const key of await this.keys()) {
      const { found, storedBytes, problem } = await unlessAborted(launcher.ask({ verify: { key } }, 'verified'), signal)
      if (!found) continue
      const layer = { key, storedBytes, problem }
      verified.push(layer)
      onLayer(layer)
    }
    return verified
  }

  async #layer(key: string): Promise<StoredLayer | undefined> {
    try {
      const { size, atimeMs, mtimeMs } = await stat(join(this.folder, `${key}${suffix}`))
      return { key, storedBytes: size, usedMs: Math.floor(atimeMs), madeMs: Math.floor(mtimeMs) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }
}
