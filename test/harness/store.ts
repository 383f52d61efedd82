// The layer store of an instance, looked at from beside it: files, checksums, and what a crash may have left.

import { randomBytes, randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Holds } from '../../worker/image/layers/holds.js'
import { Upkeep } from '../../worker/image/layers/upkeep.js'
import type { Instance } from './instance.js'
import { type Layer, Layout, layer, shellLayer } from './layout.js'

export class Store {
  readonly upkeep: Upkeep

  constructor(
    private readonly state: string,
    instance: Instance,
  ) {
    const launcher = `/run/caisson/${instance.name}/launcher.sock`
    this.upkeep = new Upkeep(launcher, join(state, 'layers/v1'), new Holds(launcher, 20_000))
  }

  async bytes(): Promise<number> {
    return (await this.upkeep.layers()).reduce((sum, { storedBytes }) => sum + storedBytes, 0)
  }

  /** Throws what is wrong with any layer, and names every file that is neither layer nor ledger. */
  async expectSound(): Promise<void> {
    const verified = await this.upkeep.verify(AbortSignal.timeout(60_000), () => {})
    const broken = verified.filter(({ problem }) => problem !== '').map(({ key, problem }) => `${key}: ${problem}`)
    const debris = [
      ...(await this.#besides('layers/v1', /^(sha256|chain)-[0-9a-f]{64}\.sqfs$/)),
      ...(await this.#besides('images', /^[0-9a-f]{64}\.json$/)),
      ...(await this.#besides('spool', /^$/)),
      ...(await this.#besides('scratch', /^$/)),
    ]
    if (broken.length + debris.length > 0) throw new Error(`the store is not sound: ${[...broken, ...debris].join(', ')}`)
  }

  async #besides(folder: string, expected: RegExp): Promise<string[]> {
    const names = await readdir(join(this.state, folder))
    return names.filter((name) => !expected.test(name)).map((name) => `${folder}/${name}`)
  }
}

/** An image that a shell runs in, with so many bytes that nothing makes smaller in each of its layers but the first. */
export async function imageOf(folder: string, sizes: number[], more: Layer[] = []): Promise<string> {
  const layout = await Layout.create(join(folder, `image-${randomUUID()}`))
  const own = await Promise.all(sizes.map((size, index) => layer([{ name: `data-${index}`, content: randomBytes(size) }])))
  return layout.index({ latest: await layout.image([await shellLayer(), ...own, ...more]) })
}
