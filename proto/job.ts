// What goes through BullMQ: one queue per backend, one job per attempt. The record holds everything else.
import { caisson } from './messages.js'

const { Backend } = caisson.v1

export const bullPrefix = 'caisson:bull'

export const queueNames = ['container', 'microvm'] as const
export type QueueName = (typeof queueNames)[number]

export const jobName = 'run'

export interface JobData {
  runId: string
  attempt: number
  /** RunSpec.image: a worker that has it ready may claim and announce STARTING in one round trip. */
  image: string
  /** RunSpec.pull. */
  pull: number
}

/** BullMQ refuses ":" in job ids. */
export const jobId = (runId: string, attempt: number) => `${runId}-${attempt}`

/** Retries are ours (a new attempt is a new job), and what happened is told by the record, not by finished jobs. */
export const jobOptions = { attempts: 1, removeOnComplete: true, removeOnFail: true }

export const queueOf = (backend: caisson.v1.Backend): QueueName => (backend === Backend.BACKEND_MICROVM ? 'microvm' : 'container')
