// The record of a run, and every change it can go through. Each change is one Lua script, so that it happens wholly or not at all.
import type { Redis } from 'ioredis'
import type { QueueName } from '../proto/job.js'
import type { caisson } from '../proto/messages.js'
import type { StateName } from '../proto/state.js'
import type { Queues } from './queue.js'

type IRunEvent = caisson.v1.IRunEvent

export interface ClaimedRun {
  runId: string
  attempt: number
  spec: caisson.v1.RunSpec
  /** All set. */
  limits: caisson.v1.Limits
  submittedMs: number
}

export interface NewRun {
  spec: caisson.v1.RunSpec
  limits: caisson.v1.Limits
  queue: QueueName
  idempotencyKey: string
  /** For people, in the first event: why this backend. */
  message: string
}

/** One report of an attempt: everything in it is written in one round trip, in this order, or nothing is. */
export interface Report {
  /** STARTING → RUNNING, if it is not yet. */
  running?: boolean
  /** Output is deduplicated by stream and offset, Truncated by itself, so a report repeated after a lost answer is harmless. */
  events?: IRunEvent[]
  /** The last event: state ENDED, seal, expiry. */
  verdict?: caisson.v1.IVerdict
}

/**
 * `queues` is needed by whoever creates or requeues.
 * Every write of a worker is fenced: false (or undefined) says that this attempt is no longer the run's, and that nothing was written.
 */
export declare class Runs {
  constructor(redis: Redis, queues: Queues)

  /**
   * QUEUED → PREPARING; with `imageDigest` (the image is ready) on to STARTING in the same round trip. Undefined: the run is gone, has
   * ended, has another attempt, or its start deadline passed (then EXPIRED_IN_QUEUE is written).
   */
  claim(runId: string, attempt: number, placement: caisson.v1.IPlacement, imageDigest?: string): Promise<ClaimedRun | undefined>
  /** PREPARING → STARTING. From its answer on the agent may execute the program. */
  starting(runId: string, attempt: number, imageDigest: string): Promise<boolean>
  /** A whole short run can be one report: running, output, verdict. */
  report(runId: string, attempt: number, report: Report): Promise<boolean>
  running(runId: string, attempt: number): Promise<boolean>
  append(runId: string, attempt: number, events: IRunEvent[]): Promise<boolean>
  end(runId: string, attempt: number, verdict: caisson.v1.IVerdict): Promise<boolean>
  /**
   * Back to QUEUED as the next attempt, with its job. False also when no attempt is left, input was taken already, or the run was to be
   * cancelled: then the caller ends it with a verdict.
   */
  requeue(runId: string, attempt: number, message: string): Promise<boolean>

  get(runId: string): Promise<caisson.v1.Run | undefined>
  list(filter: {
    states: StateName[]
    labels: Record<string, string>
    pageSize: number
    pageToken: string
  }): Promise<{ runs: caisson.v1.Run[]; nextPageToken: string }>
  delete(runId: string): Promise<'deleted' | 'not-found' | 'not-ended'>
}
