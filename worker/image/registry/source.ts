// An image in a registry: asked of the mirrors first, then of the registry itself.

import { Failure } from '../../../proto/reason.js'
import type { Reference } from '../../../proto/reference.js'
import { type RegistryReference, registryText } from '../../../proto/registry.js'
import type { Descriptor } from '../documents/descriptor.js'
import { readVerified, sha256, Verifier } from '../documents/digest.js'
import { JsonField } from '../documents/json.js'
import { indexTypes, type Manifest, manifestTypes, refuseMediaType } from '../documents/manifest.js'
import { resolveManifest } from '../documents/resolve.js'
import { ImageError } from '../failure.js'
import type { Source } from '../sources/source.js'
import { download } from './download.js'
import { Passing } from './failures.js'
import type { Patience } from './options.js'
import type { Document, Repository } from './repository.js'

const never = new AbortController().signal

export class RegistrySource implements Source {
  readonly layerDigest = 'blob'
  /** Of what the reference names: an index, or the manifest itself. */
  topDigest: string | undefined

  constructor(
    readonly reference: RegistryReference,
    /** The last one is the registry's own. */
    private readonly repositories: readonly Repository[],
    private readonly patience: Patience,
  ) {}

  async manifest(_: Reference, signal: AbortSignal = never): Promise<Manifest> {
    return this.#named(async () => {
      const { tag, digest } = this.reference
      const asked = digest ?? tag ?? 'latest'
      const document = await this.#first((repository) =>
        repository.manifest(asked, signal).then((found) => checked(found, digest)),
      )
      const top = { mediaType: typeOf(document), digest: digest ?? sha256(document.bytes), size: document.bytes.length }
      this.topDigest = top.digest
      if (!manifestTypes.includes(top.mediaType) && !indexTypes.includes(top.mediaType)) refuseMediaType(top)
      return resolveManifest([top], (descriptor, limit) =>
        descriptor.digest === top.digest ? Promise.resolve(document.bytes) : this.#nested(descriptor, limit, signal),
      )
    })
  }

  /** What the reference stands for now, as far as the registry tells without sending it. */
  async digestNow(signal: AbortSignal): Promise<string | undefined> {
    const { tag, digest } = this.reference
    return this.#named(() => this.#first((repository) => repository.digestOf(digest ?? tag ?? 'latest', signal)))
  }

  async *blob(descriptor: Descriptor, signal: AbortSignal = never): AsyncGenerator<Buffer> {
    const open = (offset: number, signal: AbortSignal) =>
      this.#first((repository) => repository.blob(descriptor.digest, offset, signal))
    const bytes = download(descriptor, open, this.patience, signal)
    try {
      yield* bytes
    } catch (error) {
      throw this.named(error)
    }
  }

  async #nested(descriptor: Descriptor, limit: number, signal: AbortSignal): Promise<Buffer> {
    if (descriptor.size > limit) return readVerified(nothing(), descriptor, limit)
    const { bytes } = await this.#first((repository) => repository.manifest(descriptor.digest, signal))
    return readVerified(only(bytes), descriptor, limit)
  }

  /** The first answer; what the registry itself says against it counts more than what a mirror says. */
  async #first<T>(ask: (repository: Repository) => Promise<T>): Promise<T> {
    const [own] = this.repositories.slice(-1)
    for (const mirror of this.repositories.slice(0, -1)) {
      try {
        return await ask(mirror)
      } catch (error) {
        if (!(error instanceof Failure) && !(error instanceof Passing)) throw error
      }
    }
    return ask(own as Repository)
  }

  async #named<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw this.named(error)
    }
  }

  /** Which image it was about stands before what happened. */
  named(error: unknown): unknown {
    const about = `image ${registryText(this.reference)}: `
    if (!(error instanceof Failure) || error.message.startsWith(about)) return error
    const message = `${about}${error.message}`
    if (!(error instanceof ImageError)) return new Failure(error.reason, message, { cause: error })
    const { reason, field, digest } = error
    return new ImageError(reason as ConstructorParameters<typeof ImageError>[0], message, {
      ...(field !== undefined && { field }),
      ...(digest !== undefined && { digest }),
      cause: error,
    })
  }
}

function checked(document: Document, digest: string | undefined): Document {
  if (digest === undefined) return document
  const verifier = new Verifier({ digest, size: document.bytes.length })
  verifier.update(document.bytes)
  verifier.finish()
  return document
}

/** What a registry does not say, or says too vaguely, the document may. */
function typeOf({ bytes, mediaType = 'none' }: Document): string {
  const isVague = ['none', 'application/json', 'application/octet-stream', 'text/plain'].includes(mediaType)
  if (!isVague) return mediaType
  const json = JsonField.parse(bytes, 'the manifest')
  const own = json.field('mediaType')
  if (!own.absent) return own.string()
  return json.field('manifests').absent ? (manifestTypes[0] as string) : (indexTypes[0] as string)
}

async function* only(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

async function* nothing(): AsyncGenerator<Buffer> {}
