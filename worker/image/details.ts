// What is told of the images of a worker: from what is kept of them to the messages of ImageService. Pure, and bounded whatever an image says.
import { caisson } from '../../proto/messages.js'
import { timestamp } from '../../redis/events.js'
import { type About, Texts } from './documents/about.js'
import type { ProcessDefaults } from './documents/config.js'
import type { Removal, StoredImage } from './inventory.js'
import type { VerifiedLayer } from './layers/upkeep.js'

const mostImages = 1_000
/** Of an answer; the rest of it is of known size. */
export const mostBytes = 768 << 10
const mostReferences = 50
const mostShared = 20
const mostBroken = 1_000
/** Of the references that went: the answers of all workers are one message. */
const mostRemovedBytes = 16 << 10
const mostTextBytes = 4_096
/** Of the words of its process, and of the names of images that share its layers, each. */
const mostTextsBytes = 256 << 10

export function imageOf({ references, image, usedMs, uses }: StoredImage): caisson.v1.IImage {
  return {
    references: references.slice(0, mostReferences),
    manifestDigest: image.manifestDigest,
    configDigest: image.configDigest,
    layers: image.diffIds.length,
    storedBytes: image.storedBytes,
    ...(usedMs > 0 && { usedAt: timestamp(usedMs) }),
    uses,
  }
}

/** Newest use first. */
export function listOf(images: StoredImage[]): caisson.v1.IListImagesResponse {
  const newest = [...images].sort((a, b) => b.usedMs - a.usedMs).slice(0, mostImages)
  const listed: caisson.v1.IImage[] = []
  let left = mostBytes
  for (const image of newest.map(imageOf)) {
    left -= caisson.v1.Image.encode(image).len + 8
    if (left < 0) break
    listed.push(image)
  }
  return { images: listed, truncated: listed.length < images.length }
}

export function removedOf({ references, layerKeys, freedBytes }: Removal): caisson.v1.IRemovedImages {
  const names = new Texts(mostRemovedBytes, mostTextBytes)
  const told = references.slice(0, mostImages).map((reference) => names.of(reference))
  return { references: told.filter((reference) => reference !== ''), layers: layerKeys.length, freedBytes }
}

/** What is verified so far. */
export class Verified {
  readonly #sum = { layers: 0, bytes: 0 }
  readonly #broken: VerifiedLayer[] = []

  add(layer: VerifiedLayer): void {
    this.#sum.layers++
    this.#sum.bytes += layer.storedBytes
    if (layer.problem !== '' && this.#broken.length < mostBroken) this.#broken.push(layer)
  }

  get sum(): caisson.v1.IVerifiedStore {
    return { ...this.#sum }
  }

  get all(): caisson.v1.IVerifiedStore {
    const texts = new Texts(mostTextsBytes, 256)
    return { ...this.#sum, broken: this.#broken.map((layer) => ({ ...layer, problem: texts.of(layer.problem) })) }
  }
}

/** `layerBytes`: as stored, by key. */
export function detailsOf(stored: StoredImage, all: StoredImage[], layerBytes: Map<string, number>): caisson.v1.IImageDetails {
  const { about, config } = stored.image
  const texts = new Texts(mostTextsBytes, mostTextBytes)
  const names = new Texts(mostTextsBytes, mostTextBytes)
  return {
    image: imageOf(stored),
    architecture: about.architecture,
    os: about.os,
    author: about.author,
    created: about.created,
    labels: about.labels,
    process: processOf(config, texts),
    layers: layersOf(stored, all, layerBytes, names),
    history: historyOf(about, stored.image.diffIds.length),
    truncated: about.truncated || texts.truncated || names.truncated,
  }
}

function processOf({ entrypoint, cmd, env, workingDir, user }: ProcessDefaults, texts: Texts): caisson.v1.IImageProcess {
  const words = (list: string[]) => list.map((word) => texts.of(word))
  return {
    entrypoint: words(entrypoint),
    cmd: words(cmd),
    env: words(env),
    workingDir: texts.of(workingDir),
    user: texts.of(user),
  }
}

function layersOf(
  { image }: StoredImage,
  all: StoredImage[],
  layerBytes: Map<string, number>,
  names: Texts,
): caisson.v1.IImageLayer[] {
  const others = all.filter((other) => other.image.manifestDigest !== image.manifestDigest)
  const having = sharersOf(others)
  return image.diffIds.map((diffId, at) => {
    const sharers = having.get(diffId) ?? []
    const blob = image.blobs[at]
    return {
      diffId,
      blobDigest: blob?.digest ?? '',
      blobBytes: blob?.size ?? 0,
      storedBytes: layerBytes.get(image.layerKeys[at] ?? '') ?? 0,
      sharedWith: sharers.slice(0, mostShared).map((reference) => names.of(reference)),
      sharedCount: sharers.length,
    }
  })
}

function sharersOf(images: StoredImage[]): Map<string, string[]> {
  const having = new Map<string, string[]>()
  for (const { references, image } of images) {
    for (const diffId of new Set(image.diffIds)) {
      const sharers = having.get(diffId) ?? []
      sharers.push(references[0] ?? image.manifestDigest)
      having.set(diffId, sharers)
    }
  }
  return having
}

/** A step that made a layer has the next one; where an image's history is not as the rules say, some steps have none. */
function historyOf({ history }: About, layers: number): caisson.v1.IImageHistory[] {
  let layer = 0
  return history.map(({ created, createdBy, comment, empty }) => {
    const step = { created, createdBy, comment, empty }
    return empty || layer >= layers ? step : { ...step, layer: layer++ }
  })
}
