// A root file system for the peers, unpacked from the very image that our runs use, and what each peer is asked to do with it.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { images } from '../../test/harness/images.js'

export const debian = `oci:${images}/debian:latest`

export class PeerRoot implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'caisson-bench-peers-'))
  readonly #root = join(this.#folder, 'debian', 'rootfs')

  constructor() {
    execFileSync('umoci', ['unpack', '--image', `${images}/debian:latest`, join(this.#folder, 'debian')], { stdio: 'ignore' })
  }

  /** Nothing but fork, exec and wait: what every figure includes. */
  get exec(): string[] {
    return ['/bin/true']
  }

  get bwrap(): string[] {
    return [
      'bwrap',
      '--unshare-all',
      '--bind',
      this.#root,
      '/',
      '--proc',
      '/proc',
      '--dev',
      '/dev',
      '--tmpfs',
      '/tmp',
      '/bin/true',
    ]
  }

  crun(name: string): string[] {
    return ['crun', 'run', '--bundle', this.#bundle(name), unique(name)]
  }

  runc(name: string): string[] {
    return ['runc', 'run', '--bundle', this.#bundle(name), unique(name)]
  }

  /** The runtime's own default specification, without a terminal. */
  #bundle(name: string): string {
    const bundle = join(this.#folder, name)
    mkdirSync(bundle)
    execFileSync('crun', ['spec'], { cwd: bundle })
    const path = join(bundle, 'config.json')
    const specification = JSON.parse(execFileSync('cat', [path], { encoding: 'utf8' }))
    specification.process = { ...specification.process, terminal: false, args: ['/bin/true'] }
    specification.root = { path: this.#root, readonly: false }
    writeFileSync(path, JSON.stringify(specification))
    return bundle
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** Two benches may run at once, and one that was interrupted leaves its name with the runtime. */
const unique = (name: string): string => `${name}-${process.pid}`
