// What ImageService asks of a worker, done.
import { caisson } from '../../proto/messages.js'
import { Failure } from '../../proto/reason.js'
import type { TakenErrand } from '../../redis/errands.js'
import type { RunCredentials } from '../credentials.js'
import type { ErrandWork } from '../errands.js'
import { failureOf } from '../failure.js'
import type { Log } from '../log.js'
import { detailsOf, imageOf, listOf, removedOf, Verified } from './details.js'
import { ImageInUse, ImageUnknown } from './failure.js'
import { filesOf } from './files.js'
import type { Images } from './images.js'
import { TooManyFiles } from './layers/listing.js'
import { meant } from './meant.js'

type IAnswer = caisson.errand.v1.IAnswer
type Report = Parameters<ErrandWork['do']>[2]

const mostMessageLength = 2_000

export class ImageErrands implements ErrandWork {
  constructor(
    private readonly images: Images,
    private readonly credentials: RunCredentials,
    private readonly log: Log,
  ) {}

  async do({ id, errand }: TakenErrand, signal: AbortSignal, report: Report): Promise<IAnswer> {
    const { pull, get, list, files, remove, prune, verify } = errand
    const { inventory } = this.images
    if (pull) return { pulled: await this.#pull(id, pull, errand.sealedCredential, signal, report) }
    if (list) return { listed: listOf(await inventory.list()) }
    if (get) return { details: await this.#details(get.image ?? '') }
    if (files) return { files: await this.#files(files, signal) }
    if (remove) return { removed: removedOf(await inventory.remove(remove.image ?? '')) }
    if (prune) return { removed: removedOf(await inventory.prune()) }
    if (verify) return { verified: await this.#verify(signal, report) }
    throw new Failure('INTERNAL', 'an errand that this worker does not know')
  }

  failureOf(error: unknown): caisson.v1.IFailure {
    const { message: told } = error as Error
    if (error instanceof ImageUnknown) return { reason: 'IMAGE_UNKNOWN', message: told }
    if (error instanceof ImageInUse) return { reason: 'IMAGE_IN_USE', message: told }
    if (error instanceof LayerUnknown) return { reason: 'LAYER_UNKNOWN', message: told }
    if (error instanceof TooManyFiles) return { reason: 'TOO_MANY_FILES', message: told }
    const { reason, message, cause } = failureOf(error)
    if (cause !== undefined) this.log.error(message, cause, { reason })
    // In a pull the fields have no spec around them.
    return { reason, message: message.replaceAll(/\bspec\.(?=image\b|pull\b)/g, '').slice(0, mostMessageLength) }
  }

  async #pull(
    errandId: string,
    { image, pull }: caisson.v1.IPullImageRequest,
    sealed: Uint8Array,
    signal: AbortSignal,
    report: Report,
  ): Promise<caisson.v1.IImage> {
    const credential = sealed.length > 0 ? this.credentials.unseal(sealed, errandId) : undefined
    const wish = { pull: pull ?? caisson.v1.Pull.PULL_UNSPECIFIED, credential }
    const prepared = await this.images.prepare(image ?? '', signal, (layer) => report({ layer }), wish)
    prepared[Symbol.dispose]()
    const stored = (await this.images.inventory.list()).find(({ image }) => image.manifestDigest === prepared.manifestDigest)
    return imageOf(stored ?? { references: [image ?? ''], image: prepared, usedMs: Date.now(), uses: 0 })
  }

  async #verify(signal: AbortSignal, report: Report): Promise<caisson.v1.IVerifiedStore> {
    const verified = new Verified()
    await this.images.inventory.verify(signal, (layer) => {
      verified.add(layer)
      report({ checked: verified.sum })
    })
    return verified.all
  }

  async #details(image: string): Promise<caisson.v1.IImageDetails> {
    const all = await this.images.inventory.list()
    const stored = meant(image, all)
    const bytes = await Promise.all(
      stored.image.layerKeys.map(async (key) => [key, await this.images.layers.storedBytes(key)] as const),
    )
    return detailsOf(stored, all, new Map(bytes.map(([key, size]) => [key, size ?? 0])))
  }

  async #files({ image, diffId, most }: caisson.v1.IImageFilesRequest, signal: AbortSignal) {
    const stored = meant(image ?? '', await this.images.inventory.list())
    const { diffIds, layerKeys } = stored.image
    const only = diffId ? diffIds.indexOf(diffId) : undefined
    if (only === -1) throw new LayerUnknown(`image ${image} has no layer ${diffId}`)
    using hold = await this.images.layers.hold(layerKeys, signal)
    if (hold.missing.length > 0) throw new ImageUnknown(`image ${image} is not on this worker any more`)
    const list = { layers: layerKeys, most: most || defaultMost, ...(only !== undefined && { only }) }
    return filesOf(await this.images.layers.upkeep.files(list, signal), diffIds)
  }
}

const defaultMost = 10

class LayerUnknown extends Error {}
