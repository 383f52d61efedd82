// What an attempt writes about its run. Each change is one Lua script, so that it happens wholly or not at all, and the same call sent
// again after a lost answer finds its work done.
import type { Redis } from 'ioredis'
import { type QueueName, queueNames } from '../proto/job.js'
import { runKey, standingKey } from '../proto/keys.js'
import { caisson } from '../proto/messages.js'
import { maxAttempts, type StateName } from '../proto/state.js'
import { type Argument, Gathered } from './command.js'
import { asBuffer, encodeEvent, encodeOutput, encodeTime, type OutputEvent, stateEvent, verdictEvent } from './events.js'
import type { Queues } from './queue.js'
import { decodeRecord, stateName } from './record.js'
import { runKeys, Scripts } from './scripts.js'
import { bullKeys, encodeTake, readTaken, type Taken, type TakeRequest } from './take.js'

type IRunEvent = caisson.v1.IRunEvent

const none = Buffer.alloc(0)

const { RunSpec, Verdict } = caisson.v1

/** One report of an attempt: everything in it is written in one round trip, in this order, or nothing is. */
export interface Report {
  /** STARTING → RUNNING, if it is not yet. */
  running?: boolean
  /** Output is deduplicated by stream and offset, Truncated by itself, so a report repeated after a lost answer is harmless. */
  events?: (IRunEvent | OutputEvent)[]
  /** The last event: state ENDED, seal, expiry. */
  verdict?: caisson.v1.IVerdict
  /** With a verdict. */
  receipt?: Buffer
}

/**
 * Every write of a worker is fenced: false (or undefined) says that this attempt is no longer the run's, and that nothing was written.
 */
export class Runs {
  readonly #scripts: Scripts

  constructor(
    private readonly redis: Redis,
    private readonly queues: Queues,
  ) {
    this.#scripts = new Scripts(redis)
  }

  async get(runId: string): Promise<caisson.v1.Run | undefined> {
    return decodeRecord(runId, await this.redis.hgetallBuffer(runKey(runId)))
  }

  /** Undefined: there is no such run. */
  async receipt(runId: string): Promise<{ hasEnded: boolean; envelope: Buffer | undefined } | undefined> {
    const [state, receipt] = await this.redis.hmgetBuffer(runKey(runId), 'state', 'receipt')
    return state ? { hasEnded: stateName(state) === 'ENDED', envelope: receipt ?? undefined } : undefined
  }

  /**
   * The next job of a queue, and its run: QUEUED → PREPARING, and → STARTING with what is at hand. Jobs whose run is gone, has ended, or
   * is past its start deadline (then EXPIRED_IN_QUEUE is written) are dropped. Where there is none, the request stands: it is answered by
   * `Handovers`, or by asking with the same token again.
   */
  async take(request: TakeRequest): Promise<Taken> {
    const { keys, args } = encodeTake(request, Date.now())
    return readTaken((await this.#scripts.call('take', keys, args)) as Buffer[])
  }

  /** PREPARING → STARTING; or sets the image right of one that is. From its answer on the agent may execute the program. */
  async starting(runId: string, attempt: number, imageDigest: string): Promise<boolean> {
    const event = stateEvent(Date.now(), 'STARTING', { attempt })
    return (await this.#scripts.call('starting', runKeys(runId), [runId, attempt, imageDigest, event])) === 1
  }

  /** A whole short run can be one report: running, output, verdict. */
  async report(runId: string, attempt: number, report: Report): Promise<boolean> {
    return (await this.#scripts.call('report', runKeys(runId), reportArgs(runId, attempt, report))) === 1
  }

  /** A report of the run's end, and then what `take` does with the worker's next request. */
  async conclude(
    runId: string,
    attempt: number,
    report: Report,
    request: TakeRequest,
  ): Promise<{ isOurs: boolean; taken: Taken }> {
    const { keys, args } = encodeTake(request, Date.now())
    const answer = await this.#scripts.call('report', [...runKeys(runId), ...keys], reportArgs(runId, attempt, report, args))
    const [isOurs, ...words] = answer as [number, ...Buffer[]]
    return { isOurs: isOurs === 1, taken: readTaken(words) }
  }

  running(runId: string, attempt: number): Promise<boolean> {
    return this.report(runId, attempt, { running: true })
  }

  append(runId: string, attempt: number, events: IRunEvent[]): Promise<boolean> {
    return this.report(runId, attempt, { events })
  }

  end(runId: string, attempt: number, verdict: caisson.v1.IVerdict): Promise<boolean> {
    return this.report(runId, attempt, { verdict })
  }

  /**
   * Back to QUEUED as the next attempt, with its job. False also when no attempt is left, input was taken already, or the run was to be
   * cancelled: then the caller ends it with a verdict. `from`: only in this state.
   */
  async requeue(runId: string, attempt: number, message: string, from?: StateName): Promise<boolean> {
    const [queue, spec] = await this.redis.hmgetBuffer(runKey(runId), 'queue', 'spec')
    if (!queue || !spec) return false
    const { priority } = RunSpec.decode(spec)
    const next = attempt + 1
    const job = this.queues.addition(queueName(queue), { runId, attempt: next }, priority)
    const now = Date.now()
    const event = stateEvent(now, 'QUEUED', { attempt: next, message })
    const args = [runId, attempt, from ?? '', maxAttempts, event, now, ...job, encodeTime(now)]
    return (await this.#scripts.call('requeue', [...runKeys(runId), standingKey(queueName(queue))], args)) === 1
  }

  /** Its client wants it to end. */
  async isCancelled(runId: string): Promise<boolean> {
    return (await this.redis.hexists(runKey(runId), 'cancel')) === 1
  }
}

export function queueName(field: Buffer): QueueName {
  const text = field.toString()
  const name = queueNames.find((name) => name === text)
  if (name === undefined) throw new Error(`a record holds the queue ${JSON.stringify(text)}`)
  return name
}

function reportArgs(
  runId: string,
  attempt: number,
  { running, events = [], verdict, receipt = none }: Report,
  request: Argument[] = [],
): Argument[] {
  const now = Date.now()
  const args: Argument[] = [
    runId,
    attempt,
    now,
    running ? stateEvent(now, 'RUNNING', { attempt }) : '',
    verdict ? asBuffer(Verdict.encode(verdict).finish()) : '',
    verdict ? verdictEvent(now, verdict) : '',
    receipt,
    bullKeys(''),
    request.length,
    ...request,
  ]
  for (const event of events) args.push(...deduplication(event), isOutput(event) ? encodeOutput(event) : encodeEvent(event))
  return args
}

const isOutput = (event: IRunEvent | OutputEvent): event is OutputEvent => event.output?.data instanceof Gathered

/** Kind, offset and length, by which report.lua knows an event that it has already. */
function deduplication({ output, truncated }: IRunEvent | OutputEvent): [kind: string, offset: number, length: number] {
  if (output) return [String(output.stream), output.offset ?? 0, output.data?.length ?? 0]
  return [truncated ? 't' : '', 0, 0]
}
