// For tests: images made by hand, right or wrong in any one point.
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { type Header, pack } from 'tar-stream'
import { type FileReference, parseReference } from '../../proto/reference.js'
import { maxConfigBytes, parseConfig } from './documents/config.js'
import { readVerified, sha256 } from './documents/digest.js'
import { hostPlatform } from './documents/platform.js'
import { ImageError, type ImageReason } from './failure.js'
import { ImageFolders } from './sources/folders.js'
import { openSource } from './sources/open.js'

export const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
}

export const digestOf = (fill: string) => `sha256:${fill.repeat(64)}`

/** All that is read of an image before any layer is. */
export async function readImage(folder: string, text: string) {
  const reference = parseReference(text) as FileReference
  const source = await openSource(reference, await ImageFolders.open([folder]))
  const manifest = await source.manifest(reference)
  const config = await readVerified(source.blob(manifest.config), manifest.config, maxConfigBytes)
  return { source, manifest, config: parseConfig(config, manifest.config.digest) }
}

/** Returns the message. */
export async function assertRefused(work: Promise<unknown>, message: RegExp, reason?: ImageReason): Promise<string> {
  const error = await work.then(() => assert.fail('not refused')).catch((error: unknown) => error)
  assert.ok(error instanceof ImageError, `${error}`)
  assert.match(error.message, message)
  if (reason) assert.equal(error.reason, reason)
  return error.message
}

type Json = Record<string, unknown>
type Member = Partial<Header> & { name: string; data?: string | Buffer }

export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'caisson-image-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** A tar of these members, in this order. */
export async function tarOf(members: Member[]): Promise<Buffer> {
  const tar = pack()
  for (const { data = '', ...header } of members) tar.entry({ mtime: new Date(0), ...header } as Header, data)
  tar.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of tar) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** A layer with one file, unlike that of any other content. */
export const layerTar = (content: string) =>
  tarOf([
    { name: 'etc', type: 'directory' },
    { name: 'etc/motd', data: content },
  ])

/** An OCI layout under construction: blobs by digest, then whatever index.json shall say. */
export class Layout {
  constructor(readonly path: string) {}

  static async at(path: string): Promise<Layout> {
    await mkdir(join(path, 'blobs/sha256'), { recursive: true })
    await writeFile(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
    return new Layout(path)
  }

  async blob(bytes: Buffer, mediaType: string) {
    const digest = sha256(bytes)
    await writeFile(this.pathOf(digest), bytes)
    return { mediaType, digest, size: bytes.length }
  }

  pathOf(digest: string): string {
    return join(this.path, 'blobs', digest.replace(':', '/'))
  }

  json(document: Json, mediaType: string) {
    return this.blob(Buffer.from(JSON.stringify(document)), mediaType)
  }

  /** Descriptor of a manifest with these layers, all of them right unless `change` says otherwise. */
  async image(tars: Buffer[], change: { config?: Json; manifest?: Json; plain?: boolean; mediaType?: string } = {}) {
    const layers = []
    for (const tar of tars) {
      layers.push(await (change.plain ? this.blob(tar, types.layer) : this.blob(gzipSync(tar), `${types.layer}+gzip`)))
    }
    const rootfs = { type: 'layers', diff_ids: tars.map(sha256) }
    const config = await this.json({ ...hostPlatform, config: { Cmd: ['/bin/sh'] }, rootfs, ...change.config }, types.config)
    return this.json({ schemaVersion: 2, config, layers, ...change.manifest }, change.mediaType ?? types.manifest)
  }

  async index(manifests: Json[], more: Json = {}): Promise<void> {
    await writeFile(join(this.path, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests, ...more }))
  }
}

export const named = (descriptor: Json, name: string): Json => ({
  ...descriptor,
  annotations: { 'org.opencontainers.image.ref.name': name },
})

/** A docker-archive whose manifest.json says this of these members. */
export async function writeDockerArchive(path: string, manifest: unknown, members: Member[]): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, await tarOf([...members, { name: 'manifest.json', data: JSON.stringify(manifest) }]))
}

/** A test: the layout that `make` leaves behind is refused, for this reason and with this message. */
export function refusal(
  name: string,
  reason: ImageReason,
  message: RegExp,
  make: (layout: Layout) => Promise<unknown>,
  tag: (layout: Layout) => string = () => '',
): void {
  test(`refused: ${name}`, async () => {
    await using folder = await temporaryFolder()
    const layout = await Layout.at(join(folder.path, 'image'))
    await make(layout)
    await assertRefused(readImage(folder.path, `oci:${layout.path}${tag(layout)}`), message, reason)
  })
}
