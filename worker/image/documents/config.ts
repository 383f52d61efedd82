import { createHash } from 'node:crypto'
import { ImageError } from '../failure.js'
import { type About, parseAbout } from './about.js'
import { parseDigest } from './descriptor.js'
import { JsonField } from './json.js'
import { maxLayers } from './manifest.js'
import { hostPlatform, platformMissing, runsHere } from './platform.js'

export const maxConfigBytes = 8 << 20
const maxWords = 4096

/** What an image says about the process in it. */
export interface ProcessDefaults {
  entrypoint: string[]
  cmd: string[]
  env: string[]
  workingDir: string
  user: string
}

export interface ImageConfig {
  diffIds: string[]
  defaults: ProcessDefaults
  about: About
}

/** A config whose bytes have been verified. */
export function parseConfig(bytes: Uint8Array, digest: string): ImageConfig {
  const json = JsonField.parse(bytes, `config ${digest}`)
  checkPlatform(json)
  return {
    diffIds: parseDiffIds(json.field('rootfs')),
    defaults: parseDefaults(json.field('config')),
    about: parseAbout(json),
  }
}

/** The chain of the layers below counts, so that a layer completed from them is never taken for that of another image. */
export function chainIds(diffIds: string[]): string[] {
  let chain: string | undefined
  return diffIds.map((diffId) => {
    chain = chain === undefined ? diffId : `sha256:${createHash('sha256').update(`${chain} ${diffId}`).digest('hex')}`
    return chain
  })
}

/** What a config leaves out is taken for ours: some tools leave out all of it. */
function checkPlatform(json: JsonField): void {
  const text = (name: string, otherwise: string) => (json.field(name).absent ? otherwise : json.field(name).string() || otherwise)
  const platform = {
    os: text('os', hostPlatform.os),
    architecture: text('architecture', hostPlatform.architecture),
    variant: text('variant', ''),
  }
  if (!runsHere(platform)) throw platformMissing([platform])
}

function parseDiffIds(rootfs: JsonField): string[] {
  if (rootfs.field('type').value !== 'layers') rootfs.field('type').refuse('must be "layers"')
  return rootfs
    .field('diff_ids')
    .list(maxLayers)
    .map((json) => {
      const digest = parseDigest(json)
      if (digest.startsWith('sha256:')) return digest
      throw new ImageError('IMAGE_UNSUPPORTED', `${json.where}: only sha256 is supported for layers`, { digest })
    })
}

function parseDefaults(config: JsonField): ProcessDefaults {
  if (config.absent) return { entrypoint: [], cmd: [], env: [], workingDir: '', user: '' }
  return {
    entrypoint: words(config.field('Entrypoint')),
    cmd: words(config.field('Cmd')),
    env: words(config.field('Env')),
    workingDir: word(config.field('WorkingDir')),
    user: word(config.field('User')),
  }
}

const words = (json: JsonField): string[] => (json.absent ? [] : json.list(maxWords).map(word))

function word(json: JsonField): string {
  const text = json.absent ? '' : json.string()
  return text.includes('\0') ? json.refuse('holds a NUL') : text
}
