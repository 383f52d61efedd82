import type { FileReference } from '../../../proto/reference.js'
import { maxConfigBytes, parseConfig } from '../documents/config.js'
import type { Descriptor } from '../documents/descriptor.js'
import { sha256 } from '../documents/digest.js'
import { JsonField } from '../documents/json.js'
import { type Manifest, maxLayers, maxManifestBytes } from '../documents/manifest.js'
import { ImageError } from '../failure.js'
import type { Files, Region } from './region.js'
import { selectionError } from './selection.js'
import type { Source } from './source.js'

const maxImages = 1000
const configType = 'application/vnd.docker.container.image.v1+json'
const layerType = 'application/vnd.docker.image.rootfs.diff.tar'

/** One image of manifest.json: file names in the archive. */
interface Entry {
  config: string
  repoTags: string[]
  layers: string[]
}

/**
 * What `docker save` and skopeo's docker-archive: write. There is no manifest in it: the digest of the image is that of its config, which
 * Docker shows as image ID. Layers may have been compressed since, so that only their DiffIDs, from the config, can be verified.
 */
export class DockerArchive implements Source<FileReference> {
  readonly layerDigest = 'diffId'
  readonly #blobs = new Map<string, Region>()

  constructor(readonly files: Files) {}

  async manifest(reference: FileReference): Promise<Manifest> {
    const entry = select(await this.#entries(), reference)
    const config = await this.#config(entry.config)
    const layers = await this.#layers(entry.layers, config.diffIds)
    return { digest: config.descriptor.digest, config: config.descriptor, layers }
  }

  async *blob({ digest }: Descriptor, signal?: AbortSignal): AsyncIterable<Buffer> {
    const region = this.#blobs.get(digest)
    if (!region) throw new Error(`${digest} is of another manifest`)
    yield* region.stream(signal)
  }

  async #entries(): Promise<Entry[]> {
    const file = await this.files.open('manifest.json')
    if (!file)
      throw new ImageError('IMAGE_MALFORMED', `${this.files.label} is no docker-archive: it has no manifest.json`, {
        field: 'spec.image',
      })
    return JsonField.parse(await file.read(maxManifestBytes), file.name)
      .list(maxImages)
      .map(parseEntry)
  }

  async #config(name: string) {
    const region = await this.#member(name)
    const bytes = await region.read(maxConfigBytes)
    const digest = sha256(bytes)
    const claimed = /^(?:blobs\/sha256\/)?([0-9a-f]{64})(?:\.json)?$/.exec(name)?.[1]
    if (claimed && digest !== `sha256:${claimed}`) {
      throw new ImageError('IMAGE_DIGEST_MISMATCH', `config ${name} holds other bytes: their digest is ${digest}`, {
        digest: `sha256:${claimed}`,
      })
    }
    this.#blobs.set(digest, region)
    return { descriptor: { mediaType: configType, digest, size: bytes.length }, diffIds: parseConfig(bytes, digest).diffIds }
  }

  async #layers(names: string[], diffIds: string[]): Promise<Descriptor[]> {
    if (names.length === 0)
      throw new ImageError('IMAGE_MALFORMED', `manifest.json in ${this.files.label}, Layers is empty: there is nothing to run`)
    if (names.length !== diffIds.length) {
      throw new ImageError(
        'IMAGE_MALFORMED',
        `${this.files.label} has ${names.length} layers, but its config has ${diffIds.length} diff_ids`,
      )
    }
    const regions = await Promise.all(names.map((name) => this.#member(name)))
    return regions.map((region, index) => {
      const digest = diffIds[index] as string
      this.#blobs.set(digest, region)
      return { mediaType: layerType, digest, size: region.size }
    })
  }

  async #member(name: string): Promise<Region> {
    const region = await this.files.open(name)
    if (region) return region
    throw new ImageError('IMAGE_MALFORMED', `${name} is missing in ${this.files.label}`)
  }
}

function parseEntry(json: JsonField): Entry {
  const repoTags = json.field('RepoTags')
  return {
    config: json.field('Config').string(),
    repoTags: repoTags.absent ? [] : repoTags.list(maxImages).map((tag) => tag.string()),
    layers: json
      .field('Layers')
      .list(maxLayers)
      .map((layer) => layer.string()),
  }
}

function select(entries: Entry[], { path, tag }: FileReference): Entry {
  const wanted = tag === undefined ? undefined : familiar(tag)
  const matches = entries.filter(({ repoTags }) => wanted === undefined || repoTags.some((name) => familiar(name) === wanted))
  const [first, ...others] = matches
  if (first && others.length === 0) return first
  throw selectionError(
    path,
    tag,
    matches.length,
    entries.flatMap(({ repoTags }) => repoTags),
  )
}

/** Docker writes "busybox:latest" where it means "docker.io/library/busybox:latest", and skopeo writes the latter. */
function familiar(name: string): string {
  const short = name.replace(/^docker\.io\/(?:library\/)?/, '')
  return /:[^/]*$/.test(short) ? short : `${short}:latest`
}
