// The syntax of RunSpec.image, which control checks at submit and the worker resolves. Pure: nothing here looks at a file or a registry.
import { parseRegistryReference, type RegistryReference } from './registry.js'

export type FileKind = 'oci' | 'oci-archive' | 'docker-archive'

/** An image in a file or folder of the worker's host. */
export interface FileReference {
  kind: FileKind
  /** Absolute; holds no ":" (skopeo splits there too). */
  path: string
  /** oci, oci-archive: the name in the index (org.opencontainers.image.ref.name). docker-archive: repository:tag. */
  tag?: string
  /** "sha256:<64 hex>" of a manifest in the index. Never together with tag. */
  digest?: string
}

export type Reference = FileReference | RegistryReference

export class InvalidReference extends Error {
  override readonly name = 'InvalidReference'
  readonly field = 'spec.image'
}

export const maxReferenceBytes = 4096

const fileKinds = ['oci', 'oci-archive', 'docker-archive'] as const
const tagPattern = /^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,254}$/
const digestPattern = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/

export const isDigest = (text: string): boolean => digestPattern.test(text)

/** Throws InvalidReference, whose message completes "spec.image …". */
export function parseReference(text: string): Reference {
  checkText(text)
  // "oci" alone is an image of that name in a registry; "oci:" always begins a path.
  const kind = fileKinds.find((kind) => text.startsWith(`${kind}:`))
  if (kind !== undefined) return parseFileReference(kind, text.slice(kind.length + 1))
  const reference = parseRegistryReference(text, isDigest)
  if (typeof reference === 'string') throw new InvalidReference(reference)
  return reference
}

function parseFileReference(kind: FileKind, rest: string): FileReference {
  const { path, tag, digest } = split(rest)
  if (!path.startsWith('/')) throw new InvalidReference('must name an absolute path')
  if (tag !== undefined && !tagPattern.test(tag)) {
    throw new InvalidReference(`has a bad tag: 1 to 255 characters of [A-Za-z0-9._:/@+-], a letter or digit first`)
  }
  if (digest !== undefined && !isDigest(digest)) throw new InvalidReference('has a bad digest: must be sha256:<64 hex digits>')
  if (digest !== undefined && kind === 'docker-archive') {
    throw new InvalidReference('names a digest, but a docker-archive holds no manifest: name REPOSITORY:TAG instead')
  }
  return { kind, path, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) }
}

function checkText(text: string): void {
  if (text === '') throw new InvalidReference('is missing')
  if (Buffer.byteLength(text) > maxReferenceBytes) throw new InvalidReference(`is longer than ${maxReferenceBytes} bytes`)
  if (/[\p{Cc}\p{Cs}]/u.test(text)) throw new InvalidReference('holds a control character')
}

function split(rest: string): { path: string; tag?: string; digest?: string } {
  const at = rest.search(/@sha(?:256|512):/)
  const colon = rest.indexOf(':')
  if (at >= 0 && colon < at) throw new InvalidReference('names a tag and a digest: one of them only')
  if (at >= 0) return { path: rest.slice(0, at), digest: rest.slice(at + 1) }
  return colon < 0 ? { path: rest } : { path: rest.slice(0, colon), tag: rest.slice(colon + 1) }
}
