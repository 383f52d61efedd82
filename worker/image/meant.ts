// Which of the images of this worker a client means: by a reference, in short or in full, or by the digest of a manifest or config.
import { InvalidReference, isDigest, parseReference } from '../../proto/reference.js'
import { registryText } from '../../proto/registry.js'
import { ImageError, ImageUnknown } from './failure.js'
import type { PreparedImage } from './images.js'
import type { StoredImage } from './inventory.js'

interface Named {
  reference: string
  image: PreparedImage
}

/** Throws ImageError for what is neither. */
export function meaningOf(text: string): (named: Named) => boolean {
  if (isDigest(text)) return ({ image }) => image.manifestDigest === text || image.configDigest === text
  try {
    const reference = parseReference(text)
    const inFull = reference.kind === 'registry' ? registryText(reference) : text
    return ({ reference }) => reference === inFull
  } catch (error) {
    if (!(error instanceof InvalidReference)) throw error
    throw new ImageError('IMAGE_REFERENCE', `image ${error.message}`, { field: 'image' })
  }
}

/** The one last used, where several are meant. */
export function meant(text: string, images: StoredImage[]): StoredImage {
  const isMeant = meaningOf(text)
  const all = images.filter(({ references, image }) => references.some((reference) => isMeant({ reference, image })))
  const [newest] = all.sort((a, b) => b.usedMs - a.usedMs)
  if (!newest) throw new ImageUnknown(`image ${text} is not on this worker`)
  return newest
}
