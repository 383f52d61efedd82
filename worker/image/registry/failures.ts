// What can go wrong with a registry, each as what it is to the client. Messages name hosts, never URLs (they may be signed), headers or bodies.
import { Failure } from '../../../proto/reason.js'
import { ImageError, type ImageReason } from '../failure.js'

/** May be over by the next try; `final` is what it is when patience is at its end. */
export class Passing extends Error {
  override readonly name = 'Passing'

  constructor(
    readonly final: Failure,
    /** What the registry asked to wait. */
    readonly retryAfterMs?: number,
  ) {
    super(final.message)
  }
}

/** Ours: the network, or a registry that is down. The run may be tried again. */
export class Unreachable extends Failure {
  constructor(message: string, cause?: unknown) {
    super('REGISTRY_UNREACHABLE', message, cause === undefined ? undefined : { cause })
  }
}

export const refuse = (reason: ImageReason, message: string, cause?: unknown): ImageError =>
  new ImageError(reason, message, { field: 'spec.image', ...(cause !== undefined && { cause }) })

/** An address that only registries named by the operator may have. */
export class PrivateAddress extends Error {
  override readonly name = 'PrivateAddress'
  readonly code = 'CAISSON_PRIVATE_ADDRESS'

  constructor(readonly host: string) {
    super(`${host} is not a public address`)
  }
}

const untrusted = /^(?:CERT_|ERR_TLS_CERT|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_MISMATCH|INVALID_CA|PATH_LENGTH)/

/** A parser's INVALID_EOF_STATE is a connection that broke, not an answer that was wrong. */
const isBrokenHttp = ({ name }: Error, code: string): boolean =>
  (name === 'HTTPParserError' && code !== 'HPE_INVALID_EOF_STATE') ||
  code === 'UND_ERR_HEADERS_OVERFLOW' ||
  code === 'UND_ERR_NOT_SUPPORTED'

/** A request that ended without an answer. */
export function withoutAnswer(error: unknown, url: URL): Failure | Passing {
  const cause = rootOf(error)
  const { code = '' } = cause as NodeJS.ErrnoException
  const host = url.host
  if (cause instanceof PrivateAddress) {
    const message = `${host} has a private address, and the worker's operator did not name it (--registry-allow ${host})`
    return refuse('IMAGE_REGISTRY_DENIED', message)
  }
  if (untrusted.test(code)) return refuse('IMAGE_REGISTRY_DENIED', `the certificate of ${host} is not trusted (${code})`, error)
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) {
    const advice = `the worker's operator can allow plain HTTP (--registry-plain-http ${host})`
    return refuse('IMAGE_REGISTRY_DENIED', `${host} does not speak TLS as it must; ${advice}`, error)
  }
  if (code === 'ENOTFOUND') return refuse('IMAGE_NOT_FOUND', `there is no host ${url.hostname}`, error)
  if (isBrokenHttp(cause, code))
    return refuse('IMAGE_REGISTRY_PROTOCOL', `${host} gave an answer that is no proper HTTP (${code})`, error)
  return new Passing(new Unreachable(`${host} cannot be reached (${code || cause.message})`, error))
}

function rootOf(error: unknown): Error {
  let root = error instanceof Error ? error : new Error(String(error))
  if (root instanceof AggregateError && root.errors[0] instanceof Error) root = root.errors[0]
  while (root.cause instanceof Error && !(root instanceof PrivateAddress)) root = root.cause
  return root
}
