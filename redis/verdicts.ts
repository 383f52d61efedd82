// Verdicts that are given without a worker.
import { caisson } from '../proto/messages.js'
import { type RunReasonName, runReasons } from '../proto/reason.js'

const { Effect } = caisson.v1

export function verdictOf(reason: RunReasonName, effect: caisson.v1.Effect, message: string): caisson.v1.IVerdict {
  return { outcome: runReasons[reason].outcome, reason, effect, message }
}

export const expiredInQueue = () =>
  verdictOf('START_DEADLINE', Effect.NEVER_STARTED, 'no worker started it within spec.start_within_ms')

export const cancelledInQueue = () => verdictOf('CANCELLED', Effect.NEVER_STARTED, 'cancelled while it waited in the queue')
