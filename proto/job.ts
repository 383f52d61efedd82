// What goes through BullMQ: a queue for each kind of wall, one job per attempt. The record holds everything else.
export const bullPrefix = 'caisson:bull'

/** A machine that is no wall, for it is emulated, serves `microvm-required` alone; one that counts serves both. */
export const queueNames = ['container', 'microvm', 'microvm-required'] as const
export type QueueName = (typeof queueNames)[number]

export const jobName = 'run'

/** For people who look into the queue: the job's id says the same. */
export interface JobData {
  runId: string
  attempt: number
}

/** redis/lua/take.lua takes it apart. BullMQ refuses ":" in job ids. */
export const jobId = (runId: string, attempt: number) => `${runId}-${attempt}`

/** Retries are ours (a new attempt is a new job), and what happened is told by the record, not by finished jobs. */
export const jobOptions = { attempts: 1, removeOnComplete: true, removeOnFail: true }
