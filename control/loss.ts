// What becomes of a run whose worker is gone, by what its record says. Pure.
import { caisson } from '../proto/messages.js'
import { maxAttempts, type StateName } from '../proto/state.js'
import { verdictOf } from '../redis/verdicts.js'

const { Effect } = caisson.v1

export interface LostRun {
  state: StateName
  attempt: number
  workerId: string
  retryAfterStart: boolean
  /** The client wants it to end anyhow. */
  cancelled: boolean
}

export interface Loss {
  /** Whether another attempt may follow. */
  retry: boolean
  /** If none does. */
  verdict: caisson.v1.IVerdict
}

export function lossOf({ state, attempt, workerId, retryAfterStart, cancelled }: LostRun): Loss {
  const effect = effects[state]
  const told = effect === Effect.NEVER_STARTED ? 'before the program could start' : 'after the program may have started'
  const retry = !cancelled && attempt < maxAttempts && (effect === Effect.NEVER_STARTED || retryAfterStart)
  const message = `worker ${workerId} was lost in attempt ${attempt}, ${told}`
  return { retry, verdict: verdictOf(cancelled ? 'CANCELLED' : 'WORKER_LOST', effect, message) }
}

/**
 * STARTING is recorded before the agent may execute, so that before it nothing can have run. After it nobody knows: a program whose worker
 * hangs may go on, and even come to its end.
 */
const effects: Record<StateName, caisson.v1.Effect> = {
  QUEUED: Effect.NEVER_STARTED,
  PREPARING: Effect.NEVER_STARTED,
  STARTING: Effect.UNKNOWN,
  RUNNING: Effect.UNKNOWN,
  ENDED: Effect.UNKNOWN,
}
