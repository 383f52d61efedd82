// Names of images in registries, with the grammar of the distribution project and Docker's shorthand: "alpine" is docker.io/library/alpine:latest.

export interface RegistryReference {
  kind: 'registry'
  /** As written, lower-case: "docker.io", "host:5000", "[2001:db8::1]:5000". */
  host: string
  repository: string
  /** Not used where there is a digest. "latest" where neither is written. */
  tag?: string
  digest?: string
}

const defaultHost = 'docker.io'
const maxNameLength = 255

const hostPattern =
  /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:]{2,39}\])(?::[0-9]{1,5})?$/
const component = '[a-z0-9]+(?:(?:\\.|__?|-+)[a-z0-9]+)*'
const repositoryPattern = new RegExp(`^${component}(?:/${component})*$`)
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/
/** Docker takes it for the id of a local image. */
const looksLikeId = /^[0-9a-f]{64}$/

const forms = 'NAME[:TAG][@DIGEST] of a registry, oci:PATH[:TAG], oci-archive:PATH[:TAG] or docker-archive:PATH[:REPOSITORY:TAG]'

/** A string: what is wrong with it. */
export function parseRegistryReference(text: string, isDigest: (text: string) => boolean): RegistryReference | string {
  if (text.startsWith('docker://')) return 'must be written without "docker://"'
  if (/^[a-z-]*:\//.test(text) || text.startsWith('/') || text.startsWith('.')) return `must be ${forms}`
  const { name, tag, digest } = split(text)
  if (digest !== undefined && !isDigest(digest)) return 'has a bad digest: must be sha256:<64 hex digits>'
  if (tag !== undefined && !tagPattern.test(tag))
    return 'has a bad tag: 1 to 128 characters of [A-Za-z0-9_.-], none of . and - first'
  if (looksLikeId.test(name)) return 'is an image id, which no registry knows: name the repository'
  const { host, repository } = normalise(name)
  // What looks like an address must be one, and a port at most 65535.
  if (!hostPattern.test(host) || !URL.canParse(`https://${host}`) || host.endsWith(':0'))
    return 'has a bad registry host: must be HOST[:PORT]'
  if (!repositoryPattern.test(repository)) {
    return `has a bad repository: lower-case letters and digits, with one of . _ __ - between, and / between its parts (${forms})`
  }
  if (host.length + 1 + repository.length > maxNameLength) return `has a name of more than ${maxNameLength} characters`
  const chosen = tag ?? (digest === undefined ? 'latest' : undefined)
  return {
    kind: 'registry',
    host,
    repository,
    ...(chosen !== undefined && { tag: chosen }),
    ...(digest !== undefined && { digest }),
  }
}

/** In full, so that each image has one name. */
export function registryText({ host, repository, tag, digest }: RegistryReference): string {
  return `${host}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
}

function split(text: string): { name: string; tag?: string; digest?: string } {
  const at = text.indexOf('@')
  const named = at < 0 ? text : text.slice(0, at)
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  return {
    name: colon < 0 ? named : named.slice(0, colon),
    ...(colon >= 0 && { tag: named.slice(colon + 1) }),
    ...(at >= 0 && { digest: text.slice(at + 1) }),
  }
}

/** The first part is a host only where it looks like one: with a dot, a port, or as "localhost". */
function normalise(name: string): { host: string; repository: string } {
  const slash = name.indexOf('/')
  const first = name.slice(0, Math.max(slash, 0))
  const isHost = /[.:]/.test(first) || first === 'localhost'
  const host = isHost ? first.toLowerCase() : defaultHost
  const repository = isHost ? name.slice(slash + 1) : name
  if (host !== defaultHost && host !== `index.${defaultHost}`) return { host, repository }
  return { host: defaultHost, repository: repository.includes('/') ? repository : `library/${repository}` }
}
