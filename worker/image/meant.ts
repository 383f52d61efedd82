// Which of the images of this worker a client means.
import { isDigest, parseReference } from '../../proto/reference.js'
import { registryText } from '../../proto/registry.js'
import { ImageUnknown } from './failure.js'
import type { StoredImage } from './images.js'

/** By a reference, in short or in full, or by the digest of its manifest or config. The one last used, where several are meant. */
export function meant(text: string, images: StoredImage[]): StoredImage {
  const isMeant = isDigest(text) ? hasDigest(text) : hasReference(text)
  const [newest] = images.filter(isMeant).sort((a, b) => b.usedMs - a.usedMs)
  if (!newest) throw new ImageUnknown(`image ${text} is not on this worker`)
  return newest
}

const hasDigest =
  (digest: string) =>
  ({ image }: StoredImage) =>
    image.manifestDigest === digest || image.configDigest === digest

function hasReference(text: string): (stored: StoredImage) => boolean {
  const reference = parseReference(text)
  const inFull = reference.kind === 'registry' ? registryText(reference) : text
  return ({ references }) => references.includes(inFull)
}
