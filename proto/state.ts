// The states of a run and the only ways between them. The Lua scripts of redis/ make exactly these changes.
import { caisson } from './messages.js'

export const stateNames = ['QUEUED', 'PREPARING', 'STARTING', 'RUNNING', 'ENDED'] as const
export type StateName = (typeof stateNames)[number]

export const transitions: Record<StateName, readonly StateName[]> = {
  // ENDED: cancelled, or its start deadline passed.
  QUEUED: ['PREPARING', 'ENDED'],
  // QUEUED: the attempt failed for our fault, and another may follow.
  PREPARING: ['STARTING', 'QUEUED', 'ENDED'],
  // ENDED: also where the agent could not start the program.
  STARTING: ['RUNNING', 'QUEUED', 'ENDED'],
  RUNNING: ['QUEUED', 'ENDED'],
  ENDED: [],
}

export const isStateName = (text: string): text is StateName => Object.hasOwn(transitions, text)

export const stateNumber = (name: StateName): caisson.v1.State => caisson.v1.State[name]

/** First try and repetitions together. */
export const maxAttempts = 3
