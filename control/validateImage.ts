// The fields that name an image, and how it is fetched, in every request that has them; and the requests of ImageService. Pure.
import { caisson } from '../proto/messages.js'
import type { Violation } from '../proto/reason.js'
import { InvalidReference, isDigest, parseReference } from '../proto/reference.js'
import { bytes, hasControl, number, range, violation, when } from './violations.js'

const mostSecretBytes = 16_384
const mostWorkerIdBytes = 256
const mostFiles = 100

export function validateImage(field: string, reference: string): Violation[] {
  try {
    parseReference(reference)
    return []
  } catch (error) {
    if (error instanceof InvalidReference) return [violation(field, error.message)]
    throw error
  }
}

export function validatePull(field: string, value: number, image: string): Violation[] {
  return [
    ...when(!(value in caisson.v1.Pull), field, `is ${value}, which is none of the values of Pull`),
    ...when(value !== 0 && !isInRegistry(image), field, 'is only for an image in a registry'),
  ]
}

/** No message holds any part of it. */
export function validateCredential(given: caisson.v1.IRegistryCredential | null | undefined, image: string): Violation[] {
  if (!given) return []
  const { username = '', password = '', identityToken = '' } = { ...given }
  const field = 'registry_credential'
  const secret = password || identityToken || ''
  const name = username ?? ''
  return [
    ...when(!isInRegistry(image), field, 'is only for an image in a registry'),
    ...when(secret === '', field, 'has neither a password nor an identity token'),
    ...when(hasControl(secret), field, 'has a secret with control characters'),
    ...when(bytes(secret) > mostSecretBytes, field, `has a secret of more than ${number(mostSecretBytes)} bytes`),
    ...when(Boolean(password) && name === '', `${field}.username`, 'is missing'),
    ...when(Boolean(identityToken) && name !== '', `${field}.username`, 'does not go with an identity token'),
    ...when(
      name.length > 256 || name.includes(':') || hasControl(name),
      `${field}.username`,
      'must be 1 to 256 characters without ":"',
    ),
  ]
}

function isInRegistry(reference: string): boolean {
  try {
    return parseReference(reference).kind === 'registry'
  } catch {
    // Told by validateImage.
    return true
  }
}

export function validatePullImage({ image, pull, registryCredential, workerId }: caisson.v1.IPullImageRequest): Violation[] {
  return [
    ...validateImage('image', image ?? ''),
    ...validatePull('pull', pull ?? 0, image ?? ''),
    ...validateCredential(registryCredential, image ?? ''),
    ...validateWorkerId(workerId),
  ]
}

/** One that a worker has: by a name, or by what it is. */
export function validateKnownImage({ image, workerId }: { image?: string | null; workerId?: string | null }): Violation[] {
  const known = image ?? ''
  return [...(isDigest(known) ? [] : validateImage('image', known)), ...validateWorkerId(workerId)]
}

export function validateFiles(request: caisson.v1.IImageFilesRequest): Violation[] {
  const { diffId, most } = request
  return [
    ...validateKnownImage(request),
    ...when(Boolean(diffId) && !isDigest(diffId ?? ''), 'diff_id', 'must be sha256:<64 hex digits>'),
    ...range('most', most, 0, mostFiles),
  ]
}

export function validateWorkerId(workerId: string | null | undefined): Violation[] {
  const id = workerId ?? ''
  return when(bytes(id) > mostWorkerIdBytes || hasControl(id), 'worker_id', 'is no worker id')
}
