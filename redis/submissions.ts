// What control writes about runs: their creation, their cancellation, and their end where no worker is there to write it.
import type { Redis } from 'ioredis'
import type { QueueName } from '../proto/job.js'
import { idempotencyKey, runKey, runsKey, standingKey } from '../proto/keys.js'
import { caisson } from '../proto/messages.js'
import { newRunId } from '../proto/runid.js'
import { specDigest } from '../proto/specDigest.js'
import { maxAttempts, type StateName } from '../proto/state.js'
import { asBuffer, encodeTime, stateEvent, verdictEvent } from './events.js'
import type { Queues } from './queue.js'
import { queueName } from './runs.js'
import { runKeys, Scripts } from './scripts.js'
import { type Entry, entry } from './tail.js'
import { cancelledInQueue } from './verdicts.js'

const { Limits, Pull, RunSpec, Verdict } = caisson.v1

export interface NewRun {
  spec: caisson.v1.IRunSpec
  /** All set. */
  limits: caisson.v1.ILimits
  queue: QueueName
  /** Empty: none. */
  idempotencyKey: string
  retentionMs: number
  /** For people, in the first event: why this backend. */
  message: string
  /** Seals the run's registry credential, where it has one. */
  sealCredential?: (runId: string) => Buffer
  /** How many runs may wait at most. */
  maxWaiting: number
}

export type Created =
  | { outcome: 'created'; runId: string /** All so far: a worker may have it already. */; events: Entry[] }
  | { outcome: 'known' | 'conflict'; runId: string }
  | { outcome: 'full' }

/** How long a credential waits in the queue at most. */
const credentialMs = 86_400_000

export type Cancelled = 'ended' | 'told' | 'over' | 'gone'

export class Submissions {
  readonly #scripts: Scripts
  #removals: Promise<void> = Promise.resolve()

  constructor(
    private readonly redis: Redis,
    private readonly queues: Queues,
  ) {
    this.#scripts = new Scripts(redis)
  }

  async create(run: NewRun): Promise<Created> {
    const now = Date.now()
    const { spec, queue } = run
    const runId = newRunId(now)
    const job = this.queues.addition(queue, { runId, attempt: 1 }, spec.priority ?? 0)
    const event = stateEvent(now, 'QUEUED', { attempt: 1, message: run.message })
    const [outcome, id, events] = asList(
      await this.#scripts.call(
        'create',
        [...runKeys(runId), runsKey, idempotencyKey(run.idempotencyKey), standingKey(queue)],
        [
          runId,
          run.idempotencyKey === '' ? '' : specDigest(spec),
          run.maxWaiting,
          asBuffer(RunSpec.encode(spec).finish()),
          asBuffer(Limits.encode(run.limits).finish()),
          queue,
          now,
          spec.startWithinMs ?? '',
          run.retentionMs,
          spec.stdinAttach ? 1 : '',
          event,
          run.sealCredential?.(runId) ?? '',
          Math.min(spec.startWithinMs ?? credentialMs, credentialMs),
          spec.retryAfterStart ? 'ended' : 'running',
          run.limits.cpuMillis ?? 0,
          run.limits.memoryBytes ?? 0,
          run.sealCredential || spec.pull === Pull.ALWAYS ? '' : (spec.image ?? ''),
          ...job,
          encodeTime(now),
        ],
      ),
    ) as [Buffer, Buffer, [Buffer, Buffer[]][]]
    switch (String(outcome)) {
      case 'created':
        return { outcome: 'created', runId: String(id), events: events.map(entry) }
      case 'known':
      case 'conflict':
        return { outcome: String(outcome) as 'known' | 'conflict', runId: String(id) }
      case 'full':
        return { outcome: 'full' }
      default:
        throw new Error(`create.lua answered ${outcome}`)
    }
  }

  /** The run that an idempotency key has; undefined where it has none. */
  async known(key: string, spec: caisson.v1.IRunSpec): Promise<{ outcome: 'known' | 'conflict'; runId: string } | undefined> {
    const [runId, digest] = (await this.redis.get(idempotencyKey(key)))?.split(' ') ?? []
    if (runId === undefined) return undefined
    return { outcome: digest === specDigest(spec) ? 'known' : 'conflict', runId }
  }

  async cancel(runId: string): Promise<Cancelled> {
    const now = Date.now()
    const verdict = cancelledInQueue()
    const args = [runId, asBuffer(Verdict.encode(verdict).finish()), verdictEvent(now, verdict), now]
    const [outcome, queue = '', attempt] = words(await this.#scripts.call('cancel', runKeys(runId), args))
    if (outcome === 'ended') this.dropJob(queueName(Buffer.from(queue)), runId, Number(attempt))
    return outcome as Cancelled
  }

  /** Ends a run in whose state and attempt nothing has changed since the caller looked. */
  async close(runId: string, attempt: number, state: StateName, verdict: caisson.v1.IVerdict): Promise<boolean> {
    const now = Date.now()
    const args = [runId, attempt, state, asBuffer(Verdict.encode(verdict).finish()), verdictEvent(now, verdict), now]
    return (await this.#scripts.call('close', runKeys(runId), args)) === 1
  }

  async delete(runId: string): Promise<'deleted' | 'not-found' | 'not-ended'> {
    const answer = await this.#scripts.call('delete', [...runKeys(runId), runsKey], [runId])
    return String(answer) as 'deleted' | 'not-found' | 'not-ended'
  }

  /** The job of a queued run, once more. */
  async enqueue(runId: string, attempt: number, queue: QueueName, spec: caisson.v1.IRunSpec): Promise<boolean> {
    const job = this.queues.addition(queue, { runId, attempt }, spec.priority ?? 0)
    return (await this.#scripts.call('enqueue', [runKey(runId)], [attempt, Date.now(), ...job])) === 1
  }

  /**
   * Takes a pointless job out of the queue, so that a client that submits and cancels cannot fill it. In the background and one after the
   * other, for each costs a search through the queue; a job that stays is dropped by the worker that finds nothing to claim.
   */
  dropJob(queue: QueueName, runId: string, attempt: number): void {
    this.#removals = this.#removals.then(() => this.queues.remove(queue, runId, attempt)).catch(() => {})
  }
}

export const attemptsLeft = (attempt: number): boolean => attempt < maxAttempts

const words = (answer: unknown): string[] => asList(answer).map(String)

function asList(answer: unknown): unknown[] {
  if (!Array.isArray(answer)) throw new TypeError('a script answered no list')
  return answer
}
