// Where this Caisson is installed, whether it runs from a checkout or was copied elsewhere.

import { accessSync, constants, existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Installation {
  /** Holds dist/, node_modules/, proto/ and target/. */
  folder: string
  launcher: string
  agent: string
  converter: string
  lister: string
  /** The corpus of `doctor --attack`; what serves runs does not need it. */
  attack: string
}

export function findInstallation(): Installation {
  // This file is dist/client/up/installation.js.
  const folder = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))
  // Cargo adds the target's name where the build names one, as ours does.
  const release = ['target/x86_64-unknown-linux-gnu/release', 'target/release'].map((path) => join(folder, path))
  const binaries = release.find((path) => existsSync(path)) ?? join(folder, 'target/release')
  const binary = (name: string) => join(binaries, name)
  return {
    folder,
    launcher: binary('caisson-launcher'),
    agent: binary('caisson-agent'),
    converter: binary('caisson-converter'),
    lister: binary('caisson-lister'),
    attack: binary('caisson-attack'),
  }
}

export function requireBinaries({ launcher, agent, converter, lister }: Installation): void {
  for (const path of [launcher, agent, converter, lister]) {
    try {
      accessSync(path, constants.X_OK)
    } catch (cause) {
      throw new Error(`${path} is missing: build it with "npm run build"`, { cause })
    }
  }
}
