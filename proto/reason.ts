// Every reason that Caisson ever gives, once: what it becomes at the edge, whether trying again can help, and who is to blame.
// A reason with an outcome ends a run (Verdict.reason); one with a status fails a gRPC call (ErrorInfo.reason, domain "caisson").
import { caisson } from './messages.js'

const { Outcome } = caisson.v1

export const domain = 'caisson'

/** Names of gRPC status codes, as in @grpc/grpc-js `status`. */
export type StatusName =
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'RESOURCE_EXHAUSTED'
  | 'PERMISSION_DENIED'
  | 'UNAUTHENTICATED'
  | 'UNAVAILABLE'
  | 'INTERNAL'

/** client: the request or the image is wrong. program: it did this itself. host: ours. */
export type Blame = 'client' | 'program' | 'host'

interface RunReason {
  outcome: caisson.v1.Outcome
  /** A new attempt may end otherwise. Whether it is safe is told by the effect, not by this. */
  retryable: boolean
  blame: Blame
}

interface CallReason {
  status: StatusName
  /** The same call, unchanged, may succeed later. */
  retryable: boolean
  blame: Blame
}

const ended = <const O extends caisson.v1.Outcome>(outcome: O, blame: Blame, retryable = false) => ({ outcome, blame, retryable })
const refused = <const S extends StatusName>(status: S, blame: Blame, retryable = false) => ({ status, blame, retryable })

export const runReasons = {
  // What the program did.
  EXITED: ended(Outcome.EXITED, 'program'),
  SIGNALED: ended(Outcome.SIGNALED, 'program'),
  MEMORY_LIMIT: ended(Outcome.OOM_KILLED, 'program'),
  CPU_LIMIT: ended(Outcome.CPU_TIMEOUT, 'program'),
  WALL_LIMIT: ended(Outcome.WALL_TIMEOUT, 'program'),
  OUTPUT_LIMIT: ended(Outcome.OUTPUT_LIMIT, 'program'),
  DISK_LIMIT: ended(Outcome.DISK_LIMIT, 'program'),
  PIDS_LIMIT: ended(Outcome.PIDS_LIMIT, 'program'),

  // What the client wanted.
  CANCELLED: ended(Outcome.CANCELLED, 'client'),
  START_DEADLINE: ended(Outcome.EXPIRED_IN_QUEUE, 'client'),

  // What is wrong with the image, or with the command, user or cwd in it.
  IMAGE_REFERENCE: ended(Outcome.IMAGE_ERROR, 'client'),
  IMAGE_FOLDER_DENIED: ended(Outcome.IMAGE_ERROR, 'client'),
  IMAGE_NOT_FOUND: ended(Outcome.IMAGE_ERROR, 'client'),
  IMAGE_MALFORMED: ended(Outcome.IMAGE_ERROR, 'client'),
  IMAGE_PLATFORM: ended(Outcome.IMAGE_ERROR, 'client'),
  IMAGE_UNSUPPORTED: ended(Outcome.IMAGE_ERROR, 'client'),
  IMAGE_DIGEST_MISMATCH: ended(Outcome.IMAGE_ERROR, 'client'),
  IMAGE_DIFF_ID_MISMATCH: ended(Outcome.IMAGE_ERROR, 'client'),
  IMAGE_TRUNCATED: ended(Outcome.IMAGE_ERROR, 'client'),
  IMAGE_TOO_LARGE: ended(Outcome.IMAGE_ERROR, 'client'),
  // And with the registry that has it.
  IMAGE_UNAUTHORIZED: ended(Outcome.IMAGE_ERROR, 'client'),
  IMAGE_RATE_LIMITED: ended(Outcome.IMAGE_ERROR, 'client', true),
  IMAGE_REGISTRY_DENIED: ended(Outcome.IMAGE_ERROR, 'client'),
  IMAGE_REGISTRY_PROTOCOL: ended(Outcome.IMAGE_ERROR, 'client'),
  IMAGE_NOT_PRESENT: ended(Outcome.IMAGE_ERROR, 'client'),
  IMAGE_CREDENTIAL_LOST: ended(Outcome.IMAGE_ERROR, 'client'),
  // Ours, and about the image alone: other runs go on.
  STORE_FULL: ended(Outcome.IMAGE_ERROR, 'host', true),
  COMMAND_MISSING: ended(Outcome.IMAGE_ERROR, 'client'),
  COMMAND_NOT_FOUND: ended(Outcome.IMAGE_ERROR, 'client'),
  COMMAND_NOT_EXECUTABLE: ended(Outcome.IMAGE_ERROR, 'client'),
  USER_NOT_FOUND: ended(Outcome.IMAGE_ERROR, 'client'),
  CWD_UNUSABLE: ended(Outcome.IMAGE_ERROR, 'client'),

  // What we did wrong.
  WORKER_LOST: ended(Outcome.WORKER_LOST, 'host', true),
  WORKER_DRAINED: ended(Outcome.WORKER_LOST, 'host', true),
  AGENT_LOST: ended(Outcome.INTERNAL, 'host', true),
  AGENT_PROTOCOL: ended(Outcome.INTERNAL, 'host', true),
  LAUNCHER_LOST: ended(Outcome.INTERNAL, 'host', true),
  SANDBOX_FAILED: ended(Outcome.INTERNAL, 'host', true),
  REGISTRY_UNREACHABLE: ended(Outcome.INTERNAL, 'host', true),
  INTERNAL: ended(Outcome.INTERNAL, 'host', true),
} as const satisfies Record<string, RunReason>

export const callReasons = {
  INVALID_FIELD: refused('INVALID_ARGUMENT', 'client'),
  INVALID_CURSOR: refused('INVALID_ARGUMENT', 'client'),
  RUN_NOT_FOUND: refused('NOT_FOUND', 'client'),
  IDEMPOTENCY_CONFLICT: refused('ALREADY_EXISTS', 'client'),
  NO_SEAL_KEY: refused('FAILED_PRECONDITION', 'host'),
  NO_WORKER: refused('FAILED_PRECONDITION', 'host', true),
  RUN_NOT_ENDED: refused('FAILED_PRECONDITION', 'client', true),
  NO_RECEIPT: refused('NOT_FOUND', 'client'),
  RUN_ENDED: refused('FAILED_PRECONDITION', 'client'),
  STDIN_NOT_ATTACHED: refused('FAILED_PRECONDITION', 'client'),
  INPUT_ENDED: refused('FAILED_PRECONDITION', 'client'),
  INPUT_GAP: refused('OUT_OF_RANGE', 'client'),
  INPUT_CONTENDED: refused('ABORTED', 'client', true),
  INBOX_FULL: refused('RESOURCE_EXHAUSTED', 'client', true),
  QUEUE_FULL: refused('RESOURCE_EXHAUSTED', 'host', true),
  REDIS_MEMORY: refused('RESOURCE_EXHAUSTED', 'host', true),
  TOKEN_REFUSED: refused('UNAUTHENTICATED', 'client'),
  CAPABILITY_NOT_GRANTED: refused('PERMISSION_DENIED', 'client'),
  WORKER_NOT_FOUND: refused('NOT_FOUND', 'client'),
  WORKER_BUSY: refused('RESOURCE_EXHAUSTED', 'host', true),
  WORKER_SILENT: refused('ABORTED', 'host', true),
  WORKER_FAILED: refused('INTERNAL', 'host', true),
  IMAGE_UNKNOWN: refused('NOT_FOUND', 'client'),
  IMAGE_IN_USE: refused('FAILED_PRECONDITION', 'client', true),
  LAYER_UNKNOWN: refused('NOT_FOUND', 'client'),
  TOO_MANY_FILES: refused('RESOURCE_EXHAUSTED', 'client'),
  REDIS_UNREACHABLE: refused('UNAVAILABLE', 'host', true),
  SHUTTING_DOWN: refused('UNAVAILABLE', 'host', true),
  BUG: refused('INTERNAL', 'host'),
} as const satisfies Record<string, CallReason>

export type RunReasonName = keyof typeof runReasons
export type CallReasonName = keyof typeof callReasons

/** Where a request is wrong: the path as written in run.proto, and what is wrong there with the limit in numbers. */
export interface Violation {
  field: string
  description: string
}

/** A call that is refused. Thrown anywhere in control, turned into a gRPC status in one place. */
export class Refusal extends Error {
  override readonly name = 'Refusal'

  constructor(
    readonly reason: CallReasonName,
    message: string,
    readonly violations: Violation[] = [],
    options?: ErrorOptions,
    /** Values that belong to the reason, for ErrorInfo: e.g. the run that an idempotency key has. */
    readonly metadata: Record<string, string> = {},
  ) {
    super(message, options)
  }
}

/** Fields at fault, as one refusal. It travels in HTTP/2 trailers, of which clients take 8 KiB: so of many, the first are named. */
export function invalidFields(violations: Violation[]): Refusal {
  const told = violations.slice(0, 3).map(({ field, description }) => `${field} ${description}`)
  if (violations.length > told.length) told.push(`and ${violations.length - told.length} more`)
  return new Refusal('INVALID_FIELD', told.join('; '), violations.slice(0, 10))
}

/** An attempt that cannot end as the program would have ended it. Thrown in the worker, turned into a verdict in one place. */
export class Failure extends Error {
  override readonly name = 'Failure'

  constructor(
    readonly reason: RunReasonName,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}
