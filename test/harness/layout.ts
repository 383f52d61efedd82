// OCI image layouts written by hand, where a test needs one that no tool would make.

import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Header, pack } from 'tar-stream'

export type Entry = Partial<Header> & Pick<Header, 'name'> & { content?: string | Buffer }

export interface Descriptor {
  mediaType: string
  digest: string
  size: number
}

export interface Layer {
  blob: Buffer
  mediaType: string
  /** Of the uncompressed tar. */
  diffId: string
}

export const digestOf = (data: Uint8Array): string => `sha256:${createHash('sha256').update(data).digest('hex')}`

export async function tar(entries: Entry[]): Promise<Buffer> {
  const archive = pack()
  const chunks: Buffer[] = []
  const done = (async () => {
    for await (const chunk of archive) chunks.push(chunk as Buffer)
  })()
  for (const { content, ...header } of entries) archive.entry(header, content ?? '')
  archive.finalize()
  await done
  return Buffer.concat(chunks)
}

export async function layer(entries: Entry[]): Promise<Layer> {
  return layerOf(await tar(entries))
}

export function layerOf(content: Buffer, compress: 'gzip' | 'none' = 'gzip'): Layer {
  return {
    blob: compress === 'gzip' ? gzipSync(content) : content,
    mediaType: `application/vnd.oci.image.layer.v1.tar${compress === 'gzip' ? '+gzip' : ''}`,
    diffId: digestOf(content),
  }
}

/** A root that a shell runs in. */
export async function shellLayer(): Promise<Layer> {
  const applets = ['sh', 'cat', 'ls', 'stat', 'echo', 'true', 'find', 'id', 'readlink', 'sort', 'wc']
  return layer([
    { name: 'bin/', type: 'directory', mode: 0o755 },
    { name: 'bin/busybox', mode: 0o755, content: await readFile('/bin/busybox') },
    ...applets.map((name): Entry => ({ name: `bin/${name}`, type: 'symlink', linkname: 'busybox' })),
    { name: 'tmp/', type: 'directory', mode: 0o1777 },
  ])
}

export class Layout {
  private constructor(readonly path: string) {}

  static async create(path: string): Promise<Layout> {
    await mkdir(join(path, 'blobs/sha256'), { recursive: true })
    await writeFile(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
    return new Layout(path)
  }

  /** `claimed`: the digest under which it is found, where that is not its own. */
  async blob(data: Buffer | string, mediaType: string, claimed?: string): Promise<Descriptor> {
    const bytes = Buffer.from(data)
    const digest = claimed ?? digestOf(bytes)
    await writeFile(join(this.path, 'blobs', digest.replace(':', '/')), bytes)
    return { mediaType, digest, size: bytes.length }
  }

  /** Writes config and manifest; `change` alters the manifest before it is written. */
  async image(
    layers: Layer[],
    config: object = {},
    change: (manifest: Manifest) => object = (manifest) => manifest,
    /** Beside the process, e.g. `history`. */
    more: object = {},
  ): Promise<Descriptor> {
    const written = await Promise.all(layers.map(({ blob, mediaType }) => this.blob(blob, mediaType)))
    const rootfs = { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) }
    const process = { Env: ['PATH=/bin'], Cmd: ['sh'], ...config }
    const configuration = JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs, config: process, ...more })
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: await this.blob(configuration, 'application/vnd.oci.image.config.v1+json'),
      layers: written,
    }
    return this.blob(JSON.stringify(change(manifest)), manifest.mediaType)
  }

  /** The folder's entry point; returns the reference of it. */
  async index(manifests: Record<string, Descriptor & { platform?: object }>): Promise<string> {
    const entries = Object.entries(manifests).map(([tag, descriptor]) => ({
      ...descriptor,
      annotations: { 'org.opencontainers.image.ref.name': tag },
    }))
    await writeFile(join(this.path, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: entries }))
    return `oci:${this.path}`
  }
}

export interface Manifest {
  schemaVersion: number
  mediaType: string
  config: Descriptor
  layers: Descriptor[]
}
