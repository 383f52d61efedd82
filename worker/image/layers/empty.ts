import { sha256 } from '../documents/digest.js'
import type { Layer } from './conversion.js'

/** A tar of nothing: its end. */
const tar = Buffer.alloc(1024)
const digest = sha256(tar)

/** What the lowest layer lies on, when it needs something to lie on: launcher and converter then know one case less. */
export const emptyLayer: Layer = {
  diffId: digest,
  chainId: digest,
  blob: { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: tar.length },
  verifyBlob: true,
  async *open() {
    yield tar
  },
}
