// Whatever goes wrong in a call, as a gRPC status with google.rpc.Status details. The only place that does this.
import { Metadata, type StatusObject, status } from '@grpc/grpc-js'
import { google } from '../proto/messages.js'
import { callReasons, domain, Refusal } from '../proto/reason.js'
import { isFull, isUnreachable } from '../redis/connect.js'
import { asBuffer } from '../redis/events.js'

export function statusOf(error: unknown): StatusObject {
  const refusal = asRefusal(error)
  const code = status[callReasons[refusal.reason].status]
  const { message } = refusal
  const metadata = new Metadata()
  metadata.set('grpc-status-details-bin', encodeDetails(code, refusal))
  return { code, details: message, metadata }
}

/** What is not a refusal is Redis's failure or ours; what it was stands in `cause`, for the log and not for the client. */
export function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  if (isUnreachable(error)) return new Refusal('REDIS_UNREACHABLE', 'Redis cannot be reached', [], { cause: error })
  if (isFull(error)) return new Refusal('REDIS_MEMORY', 'Redis is full', [], { cause: error })
  return new Refusal('BUG', 'internal error', [], { cause: error })
}

function encodeDetails(code: number, { reason, message, violations, metadata }: Refusal): Buffer {
  const { BadRequest, ErrorInfo, Status } = google.rpc
  const details = [any('ErrorInfo', ErrorInfo.encode({ reason, domain, metadata }).finish())]
  if (violations.length > 0) details.push(any('BadRequest', BadRequest.encode({ fieldViolations: violations }).finish()))
  return asBuffer(Status.encode({ code, message, details }).finish())
}

const any = (type: string, value: Uint8Array) => ({ type_url: `type.googleapis.com/google.rpc.${type}`, value })
