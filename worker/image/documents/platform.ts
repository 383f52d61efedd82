import { ImageError } from '../failure.js'
import type { Platform } from './descriptor.js'

const architectures: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', arm64: 'arm64' }

/** What this host runs. A variant above the first ("v3" of amd64) could need instructions that the processor lacks. */
export const hostPlatform = { os: 'linux', architecture: architectures[process.arch] ?? process.arch }

const plainVariants: Partial<Record<string, string[]>> = { amd64: ['', 'v1'], arm64: ['', 'v8'] }

export function runsHere({ os, architecture, variant }: Platform): boolean {
  return (
    os === hostPlatform.os &&
    architecture === hostPlatform.architecture &&
    (plainVariants[architecture] ?? ['']).includes(variant)
  )
}

export const platformText = ({ os, architecture, variant }: Platform): string =>
  [os, architecture, variant].filter(Boolean).join('/')

export function platformMissing(offered: Platform[]): ImageError {
  const wanted = platformText({ ...hostPlatform, variant: '' })
  const names = [...new Set(offered.map(platformText))].slice(0, 20).join(', ')
  return new ImageError('IMAGE_PLATFORM', `the image has nothing for ${wanted}; it offers: ${names || 'no platform at all'}`, {
    field: 'spec.image',
  })
}
