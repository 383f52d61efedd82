// For tests: a registry in this process that behaves as told, and a client that may reach it.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { parseReference } from '../../../proto/reference.js'
import { maxConfigBytes } from '../documents/config.js'
import type { Descriptor } from '../documents/descriptor.js'
import { readVerified, sha256 } from '../documents/digest.js'
import { hostPlatform } from '../documents/platform.js'
import { types } from '../fixture.js'
import type { Credential } from './credential.js'
import { type Patience, type RegistryFlags, registryOptions } from './options.js'
import { Registries } from './registries.js'

export type Handler = (request: IncomingMessage, response: ServerResponse) => unknown

export const hurried: Patience = {
  tries: 3,
  firstDelayMs: 5,
  mostRetryAfterMs: 3_000,
  connectMs: 10_000,
  idleMs: 10_000,
  answerMs: 10_000,
  blobMs: 10_000,
  leastBytesPerSecond: 10 << 20,
}

export interface Seen {
  method: string
  url: string
  authorization: string | undefined
  headers: IncomingMessage['headers']
}

/** Any HTTP server, with what it was asked. */
export class Scripted implements AsyncDisposable {
  readonly seen: Seen[] = []

  private constructor(
    readonly server: ReturnType<typeof createServer>,
    readonly address: string,
  ) {}

  static async start(handler: Handler, address = '127.0.0.1'): Promise<Scripted> {
    const server = createServer()
    server.listen(0, address)
    await once(server, 'listening')
    const scripted = new Scripted(server, address)
    server.on('request', (request, response) => {
      const { method = '', url = '', headers } = request
      scripted.seen.push({ method, url, authorization: headers.authorization, headers })
      response.on('error', () => {})
      handler(request, response)
    })
    return scripted
  }

  get host(): string {
    return `${this.address}:${(this.server.address() as AddressInfo).port}`
  }

  /** Every header of every request, as one text. */
  get heard(): string {
    return JSON.stringify(this.seen)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }
}

/** An image as a registry has it: documents and blobs by digest. */
export class Content {
  readonly documents = new Map<string, { bytes: Buffer; mediaType: string }>()
  readonly blobs = new Map<string, Buffer>()
  readonly layers: Buffer[]
  readonly digest: string

  constructor(tars: Buffer[], change: { layer?: Record<string, unknown>; size?: number } = {}) {
    this.layers = tars.map((tar) => gzipSync(tar, { level: 0 }))
    const layers = this.layers.map((blob) => ({ ...this.blob(blob, `${types.layer}+gzip`), ...change.layer }))
    const config = this.blob(
      Buffer.from(JSON.stringify({ ...hostPlatform, config: {}, rootfs: { type: 'layers', diff_ids: tars.map(sha256) } })),
      types.config,
    )
    if (change.size !== undefined && layers[0]) layers[0].size = change.size
    this.digest = this.document({ schemaVersion: 2, mediaType: types.manifest, config, layers }, types.manifest, 'latest')
  }

  blob(bytes: Buffer, mediaType: string): Descriptor {
    const digest = sha256(bytes)
    this.blobs.set(digest, bytes)
    return { mediaType, digest, size: bytes.length }
  }

  document(json: object, mediaType: string, tag?: string): string {
    const bytes = Buffer.from(JSON.stringify(json))
    const digest = sha256(bytes)
    for (const name of [digest, ...(tag === undefined ? [] : [tag])]) this.documents.set(name, { bytes, mediaType })
    return digest
  }

  /** Well-behaved. */
  readonly serve: Handler = (request, response) => {
    const name = request.url?.split('/').at(-1) ?? ''
    const document = request.url?.includes('/manifests/') ? this.documents.get(name) : undefined
    const bytes = document?.bytes ?? (request.url?.includes('/blobs/') ? this.blobs.get(name) : undefined)
    if (!bytes) return response.writeHead(404).end('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    if (document) {
      response.setHeader('content-type', document.mediaType)
      response.setHeader('docker-content-digest', sha256(bytes))
    }
    if (from > 0) response.setHeader('content-range', `bytes ${from}-${bytes.length - 1}/${bytes.length}`)
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': bytes.length - from })
    response.end(request.method === 'HEAD' ? undefined : bytes.subarray(from))
  }
}

export function registriesOf(
  flags: RegistryFlags,
  patience: Partial<Patience> = {},
  environment: NodeJS.ProcessEnv = {},
): Registries {
  return new Registries({ ...registryOptions(flags, environment), patience: { ...hurried, ...patience } })
}

/** All of an image, verified as the worker does it; the layers' bytes. */
export async function pull(registries: Registries, text: string, credential?: Credential): Promise<Buffer[]> {
  const reference = parseReference(text)
  if (reference.kind !== 'registry') throw new Error(`${text} is in no registry`)
  const source = await registries.source(reference, credential)
  const manifest = await source.manifest(reference)
  await readVerified(source.blob(manifest.config), manifest.config, maxConfigBytes)
  return Promise.all(manifest.layers.map((layer) => readVerified(source.blob(layer), layer, 1 << 30)))
}

/** A body that ends when its reader has had enough. */
export function endless(response: Parameters<Handler>[1]): void {
  const chunk = Buffer.alloc(64 << 10)
  const more = () => {
    while (!response.destroyed && response.write(chunk));
    if (!response.destroyed) response.once('drain', more)
  }
  more()
}
