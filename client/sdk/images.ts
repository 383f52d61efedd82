// Images of the workers. Each call means one worker, or all living ones; what one of several could not do is in the answer. Rejections as
// everywhere: NOT_FOUND: no worker that was asked has the image, or there is no such worker.

import type { ClientReadableStream } from '@grpc/grpc-js'
import { caisson } from '../../proto/messages.js'
import type { CallOptions, Connection } from './connection.js'
import { fromServiceError } from './error.js'
import { readDetails, readFiles, readList, readPullEvent, readRemoval, readVerifyEvent } from './imageDecode.js'
import type { ImageDetails, ImageFiles, ImageList, PullEvent, Removal, VerifyEvent } from './imageModel.js'
import { methods } from './methods.js'
import type { Pull, RegistryCredential } from './model.js'

export interface ImageOptions extends CallOptions {
  /** Default: all living workers. */
  workerId?: string
}

export interface PullOptions extends ImageOptions {
  /** Default IF_NOT_PRESENT. */
  pull?: Pull
  registryCredential?: RegistryCredential
}

export interface FilesOptions extends ImageOptions {
  /** Of one layer; default: of all. */
  diffId?: string
  /** Of each kind in each layer, 1 to 100; default 10. */
  most?: number
}

export class Images {
  constructor(private readonly connection: Connection) {}

  /** Makes an image ready ahead of its first run; one `pulled` or `failed` of each worker. Leaving the iteration gives it up. */
  pull(image: string, options: PullOptions = {}): AsyncGenerator<PullEvent, void, undefined> {
    const { workerId = '', pull, registryCredential } = options
    const credential = registryCredential && { registryCredential: { ...registryCredential } }
    const request = { image, workerId, ...(pull && { pull: caisson.v1.Pull[pull] }), ...credential }
    return this.#each(() => this.connection.readStream(methods.pullImage, request), readPullEvent, options)
  }

  /** Newest use first. */
  async list(options: ImageOptions = {}): Promise<ImageList> {
    return readList(await this.connection.unary(methods.listImages, named(options), options))
  }

  /** `image`: a reference, in short or in full, or the digest of a manifest or config. Of several workers the one that used it last. */
  async get(image: string, options: ImageOptions = {}): Promise<ImageDetails> {
    return readDetails(await this.connection.unary(methods.getImage, { image, ...named(options) }, options))
  }

  /** The largest files of its layers, and those that are overwritten. */
  async files(image: string, options: FilesOptions = {}): Promise<ImageFiles> {
    const { diffId = '', most = 0 } = options
    return readFiles(await this.connection.unary(methods.imageFiles, { image, diffId, most, ...named(options) }, options))
  }

  /** FAILED_PRECONDITION: a run or a pull uses it. */
  async remove(image: string, options: ImageOptions = {}): Promise<Removal> {
    return readRemoval(await this.connection.unary(methods.removeImage, { image, ...named(options) }, options))
  }

  /** Everything that no run uses. */
  async prune(options: ImageOptions = {}): Promise<Removal> {
    return readRemoval(await this.connection.unary(methods.pruneImages, named(options), options))
  }

  /** Checks every stored layer; one `verified` or `failed` of each worker. */
  verify(options: ImageOptions = {}): AsyncGenerator<VerifyEvent, void, undefined> {
    const begin = () => this.connection.readStream(methods.verifyImages, named(options))
    return this.#each(begin, readVerifyEvent, options)
  }

  /** Asked again from the start where the stream breaks: what is done then is found done. Of each worker there is one end all the same. */
  async *#each<Message, Event extends { workerId: string; type: string }>(
    begin: () => ClientReadableStream<Message>,
    read: (message: Message) => Event,
    { signal }: CallOptions,
  ): AsyncGenerator<Event, void, undefined> {
    const patience = this.connection.patience(signal)
    const over = new Set<string>()
    for (;;) {
      signal?.throwIfAborted()
      const stream = begin()
      const cancel = () => stream.cancel()
      signal?.addEventListener('abort', cancel, { once: true })
      stream.on('error', () => {})
      try {
        for await (const message of stream) {
          patience.renew()
          const event = read(message as Message)
          if (over.has(event.workerId)) continue
          if (event.type !== 'progress') over.add(event.workerId)
          yield event
        }
        return
      } catch (error) {
        signal?.throwIfAborted()
        await patience.orThrow(fromServiceError(error))
      } finally {
        signal?.removeEventListener('abort', cancel)
        stream.cancel()
      }
    }
  }
}

const named = ({ workerId = '' }: ImageOptions) => ({ workerId })
