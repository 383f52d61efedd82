import type { Reference } from '../../../proto/reference.js'
import type { Descriptor } from '../documents/descriptor.js'
import type { Manifest } from '../documents/manifest.js'

/** Where an image comes from. Holds nothing open between calls, so that a layer's stream may outlive the run that asked for it first. */
export interface Source<R extends Reference = Reference> {
  /**
   * What a layer's descriptor digest is of: the blob as stored, or the uncompressed tar (then it is the DiffID, which the converter
   * verifies in any case).
   */
  readonly layerDigest: 'blob' | 'diffId'
  /** Resolves a reference to the one manifest for this host, verified. */
  manifest(reference: R, signal?: AbortSignal): Promise<Manifest>
  /** The bytes that a descriptor of that manifest names, unverified. Each call reads anew. */
  blob(descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Buffer>
}
