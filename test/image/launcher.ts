// The real launcher, and with it the real converter, without the rest of the service.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { findInstallation, requireBinaries } from '../../client/up/installation.js'
import { temporaryFolder } from '../../worker/image/fixture.js'
import { Images } from '../../worker/image/images.js'
import { defaultLayerLimits } from '../../worker/image/layers/limits.js'
import { LayerStore } from '../../worker/image/layers/store.js'
import { registryOptions } from '../../worker/image/registry/options.js'
import { Registries } from '../../worker/image/registry/registries.js'
import { ImageFolders } from '../../worker/image/sources/folders.js'

export class Launcher implements AsyncDisposable {
  readonly #mounts: string[] = []

  private constructor(
    readonly name: string,
    readonly folder: { path: string } & AsyncDisposable,
    readonly process: ChildProcess,
  ) {}

  static async start(): Promise<Launcher> {
    const installation = findInstallation()
    requireBinaries(installation)
    const folder = await temporaryFolder()
    await mkdir(join(folder.path, 'images'))
    const name = `t-image-${randomBytes(4).toString('hex')}`
    const { launcher, agent, converter, lister } = installation
    const user = ['--worker-uid', '0', '--worker-gid', '0']
    const args = [
      'serve',
      '--name',
      name,
      '--state',
      join(folder.path, 'state'),
      ...user,
      '--agent',
      agent,
      '--converter',
      converter,
      '--lister',
      lister,
    ]
    const process = spawn(launcher, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise<void>((resolve, reject) => {
      process.stdout.once('data', () => resolve())
      process.once('exit', (code) => reject(new Error(`launcher exited with ${code}`)))
    })
    return new Launcher(name, folder, process)
  }

  get images(): string {
    return join(this.folder.path, 'images')
  }

  get store(): string {
    return join(this.folder.path, 'state/layers/v1')
  }

  /** As a worker has it, that knows nothing but what is in the store. */
  async worker(limits = defaultLayerLimits, bytes = 2 ** 40): Promise<Images> {
    const layers = new LayerStore({
      launcherPath: this.socket,
      folder: this.store,
      limits,
      bytes,
      parallel: 2,
      launcherMs: 20_000,
    })
    return new Images(await ImageFolders.open([this.images]), layers, new Registries(registryOptions({}, {})))
  }

  get socket(): string {
    return join('/run/caisson', this.name, 'launcher.sock')
  }

  /** The root that a sandbox would see. */
  async mount(layerKeys: string[]): Promise<string> {
    const base = join(this.folder.path, `mount-${this.#mounts.length}`)
    const layers = await Promise.all(layerKeys.map((key, index) => this.#mountLayer(key, join(base, `${index}`))))
    const [empty, root] = [join(base, 'empty'), join(base, 'root')]
    for (const path of [empty, root]) await mkdir(path, { recursive: true })
    // An overlay of one layer alone does not exist.
    this.#mount('-t', 'overlay', '-o', `ro,lowerdir=${[...layers.reverse(), empty].join(':')}`, 'overlay', root)
    return root
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const path of this.#mounts.reverse()) execFileSync('umount', [path])
    const ended = new Promise((resolve) => this.process.once('exit', resolve))
    this.process.kill('SIGTERM')
    await ended
    await rm(join('/run/caisson', this.name), { recursive: true, force: true })
    await this.folder[Symbol.asyncDispose]()
  }

  async #mountLayer(key: string, path: string): Promise<string> {
    await mkdir(path, { recursive: true })
    this.#mount('-t', 'squashfs', '-o', 'ro,loop', join(this.store, `${key}.sqfs`), path)
    return path
  }

  #mount(...args: string[]): void {
    execFileSync('mount', args)
    this.#mounts.push(args.at(-1) as string)
  }
}
