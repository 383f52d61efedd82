// Every failure of the SDK is a CaissonError: ours, the service's, or the transport's. What a program did is never one.

import { type ServiceError, status } from '@grpc/grpc-js'
import { google } from '../../proto/messages.js'

/** Name of a gRPC status: 'NOT_FOUND', 'UNAVAILABLE' … */
export type Code = Exclude<keyof typeof status, 'OK'>

export interface Violation {
  /** Path of the request field, as the .proto writes it: "spec.limits.pids". */
  field: string
  /** What is wrong with it, and the limit. */
  description: string
}

interface Details {
  reason?: string
  metadata?: Record<string, string>
  violations?: Violation[]
}

export class CaissonError extends Error {
  override readonly name = 'CaissonError'
  /** Constant of the service (see proto/reason.ts), e.g. "RUN_NOT_FOUND"; empty when the transport failed. */
  readonly reason: string
  /** Values that belong to the reason. */
  readonly metadata: Record<string, string>
  /** With INVALID_ARGUMENT: every field at fault. */
  readonly violations: Violation[]

  constructor(
    readonly code: Code,
    message: string,
    details: Details = {},
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.reason = details.reason ?? ''
    this.metadata = details.metadata ?? {}
    this.violations = details.violations ?? []
  }
}

/** What grpc-js threw, as a CaissonError with the details that the service sent. */
export function fromServiceError(error: unknown): CaissonError {
  if (error instanceof CaissonError) return error
  if (!isServiceError(error)) return new CaissonError('UNKNOWN', String(error), {}, { cause: error })
  return new CaissonError(codeName(error.code), plainMessage(error.details || error.message), readDetails(error), {
    cause: error,
  })
}

/**
 * Whether the same call may succeed on a new connection. A service that dies or drains shows as UNAVAILABLE, as CANCELLED (its side of
 * the stream was reset), or as INTERNAL of the transport, which names what broke; an INTERNAL of the service itself carries a reason.
 */
export function isTransportFailure(error: CaissonError): boolean {
  if (error.code === 'UNAVAILABLE') return true
  if (error.reason !== '') return false
  return error.code === 'CANCELLED' || (error.code === 'INTERNAL' && /RST_STREAM|ECONN|EPIPE|socket/.test(error.message))
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error
}

/** grpc-js wraps what the operating system said in words of its own. */
function plainMessage(message: string): string {
  const [, cause] = /^No connection established\. Last error: (?:Error: )?(.*?)\.? Resolution note: .*$/s.exec(message) ?? []
  return cause ?? message
}

function codeName(code: number): Code {
  const name = status[code] as Code | 'OK' | undefined
  return name === undefined || name === 'OK' ? 'UNKNOWN' : name
}

function readDetails(error: ServiceError): Details {
  const bytes = error.metadata?.get('grpc-status-details-bin')[0]
  if (!(bytes instanceof Uint8Array)) return {}
  try {
    return decodeDetails(bytes)
  } catch {
    // Details that do not parse take nothing away from the status itself.
    return {}
  }
}

function decodeDetails(bytes: Uint8Array): Details {
  const details: Details = {}
  for (const { type_url, value } of google.rpc.Status.decode(bytes).details) {
    if (!type_url || !value) continue
    if (type_url.endsWith('/google.rpc.ErrorInfo')) {
      const info = google.rpc.ErrorInfo.decode(value)
      details.reason = info.reason
      details.metadata = { ...info.metadata }
    }
    if (type_url.endsWith('/google.rpc.BadRequest')) {
      details.violations = google.rpc.BadRequest.decode(value).fieldViolations.map(({ field, description }) => ({
        field: field ?? '',
        description: description ?? '',
      }))
    }
  }
  return details
}
