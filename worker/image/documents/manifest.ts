import { ImageError } from '../failure.js'
import { type Descriptor, type IndexEntry, parseDescriptor, parseIndexEntry } from './descriptor.js'
import { JsonField } from './json.js'

export interface Manifest {
  digest: string
  config: Descriptor
  /** Oldest first. */
  layers: Descriptor[]
}

export const maxManifestBytes = 4 << 20
export const maxLayers = 1000
const maxIndexEntries = 1000

export const indexTypes = ['application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json']
export const manifestTypes = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]
const configTypes = ['application/vnd.oci.image.config.v1+json', 'application/vnd.docker.container.image.v1+json']
const layerType =
  /^application\/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+gzip|\+zstd)?|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.gzip|\.zstd)?)$/

/** A manifest whose bytes have been verified. */
export function parseManifest(bytes: Uint8Array, { digest, mediaType }: Descriptor): Manifest {
  const json = open(bytes, `manifest ${digest}`, mediaType)
  if (!json.field('manifests').absent) json.refuse('is manifest and index at once')
  refuseArtifact(json)
  const layers = json.field('layers').list(maxLayers).map(parseLayer)
  if (layers.length === 0) json.field('layers').refuse('is empty: there is nothing to run')
  return { digest, config: parseDescriptor(json.field('config')), layers }
}

export function parseIndex(bytes: Uint8Array, document: string, mediaType?: string): IndexEntry[] {
  const json = open(bytes, document, mediaType)
  if (!json.field('layers').absent || !json.field('config').absent) json.refuse('is index and manifest at once')
  return json.field('manifests').list(maxIndexEntries).map(parseIndexEntry)
}

/** Names what it refuses; an unknown type could be read as anything. */
export function refuseMediaType({ mediaType, digest }: Descriptor): never {
  const what = mediaType.startsWith('application/vnd.docker.distribution.manifest.v1')
    ? 'a manifest of Docker schema 1'
    : 'no image manifest'
  throw new ImageError('IMAGE_UNSUPPORTED', `${digest} is ${what} (media type ${mediaType})`, { digest })
}

function open(bytes: Uint8Array, document: string, mediaType: string | undefined): JsonField {
  const json = JsonField.parse(bytes, document)
  const version = json.field('schemaVersion')
  if (version.value === 1) throw new ImageError('IMAGE_UNSUPPORTED', `${document} is of Docker schema 1, which is not supported`)
  if (version.value !== 2) version.refuse('must be 2')
  // One document that two readers take for two different things is how CVE-2021-41190 worked.
  const own = json.field('mediaType')
  if (!own.absent && mediaType !== undefined && own.string() !== mediaType)
    own.refuse(`is ${own.string()}, but its descriptor says ${mediaType}`)
  return json
}

function refuseArtifact(json: JsonField): void {
  const artifactType = json.field('artifactType')
  const configType = json.field('config').field('mediaType').string()
  if (configTypes.includes(configType)) return
  const type = artifactType.absent ? configType : artifactType.string()
  throw new ImageError('IMAGE_UNSUPPORTED', `${json.where} is an artifact of type ${type}, not an image`)
}

function parseLayer(json: JsonField): Descriptor {
  const layer = parseDescriptor(json)
  if (layerType.test(layer.mediaType)) return layer
  const what = layer.mediaType.endsWith('+encrypted')
    ? 'is encrypted, which is not supported'
    : 'is of a type that is not supported'
  throw new ImageError('IMAGE_UNSUPPORTED', `${json.where} ${what} (${layer.mediaType})`, { digest: layer.digest })
}
