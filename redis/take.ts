// What a worker asks of a queue, and what it is given (lua/include/take.lua).
import { bullPrefix, type QueueName } from '../proto/job.js'
import {
  handoverChannel,
  lastTakeKey,
  retentionKey,
  runKey,
  standingKey,
  startDeadlinesKey,
  stateKey,
  workerKey,
  workerRunsKey,
  workersKey,
} from '../proto/keys.js'
import { caisson } from '../proto/messages.js'
import { maxAttempts, type StateName, stateNumber } from '../proto/state.js'
import type { Argument } from './command.js'
import { asBuffer, encodeEvent, encodeTime } from './events.js'
import { expiredInQueue } from './verdicts.js'

const { Limits, Placement, RunSpec, Verdict } = caisson.v1

export interface ClaimedRun {
  runId: string
  attempt: number
  spec: caisson.v1.RunSpec
  /** All set. */
  limits: caisson.v1.Limits
  submittedMs: number
  /** Digest of the image with which it was taken as STARTING; empty: it is PREPARING. */
  startingWith: string
}

/** What a worker has at hand for the run that it takes: such a run is STARTING at once. */
export interface AtHand {
  cpuMillis: number
  memoryBytes: number
  /** Images by reference. */
  digests: Iterable<[reference: string, digest: string]>
}

export interface TakeRequest {
  queue: QueueName
  /** The job's lock, and this request's own name. */
  token: string
  /** 0: no job but what was handed over already, and the request stands no longer. */
  lockMs: number
  placement: caisson.v1.IPlacement
  atHand?: AtHand | undefined
}

export interface Taken {
  /** Undefined: nothing could be taken. */
  run?: ClaimedRun
  /** There is more to take. */
  othersWait: boolean
}

const nothing: AtHand = { cpuMillis: 0, memoryBytes: 0, digests: [] }

export function encodeTake(request: TakeRequest, nowMs: number): { keys: string[]; args: Argument[] } {
  const { queue, token, lockMs, placement, atHand = nothing } = request
  const { keys, packed } = unchanging(queue, placement)
  const { cpuMillis, memoryBytes, digests } = atHand
  return { keys, args: [nowMs, encodeTime(nowMs), token, lockMs, cpuMillis, memoryBytes, packed, ...[...digests].flat()] }
}

/** What a worker says in each request is made once. */
interface Unchanging {
  keys: string[]
  packed: Buffer
}

const known = new WeakMap<caisson.v1.IPlacement, Map<QueueName, Unchanging>>()

function unchanging(queue: QueueName, placement: caisson.v1.IPlacement): Unchanging {
  const byQueue = known.get(placement) ?? new Map<QueueName, Unchanging>()
  known.set(placement, byQueue)
  const made = byQueue.get(queue) ?? makeUnchanging(queue, placement)
  byQueue.set(queue, made)
  return made
}

function makeUnchanging(queue: QueueName, placement: caisson.v1.IPlacement): Unchanging {
  const workerId = placement.workerId ?? ''
  const verdict = expiredInQueue()
  const attempts = Array.from({ length: maxAttempts }, (_, index) => index + 1)
  // Whoever answers while the request stands knows the time.
  const timeless = (state: StateName, change: caisson.v1.IStateChange) =>
    encodeEvent({ state: { ...change, state: stateNumber(state) } })
  const keys = [
    lastTakeKey(workerId, queue),
    workerRunsKey(workerId),
    workersKey,
    runKey(''),
    stateKey(''),
    startDeadlinesKey,
    retentionKey,
    standingKey(queue),
    handoverChannel(workerId, queue),
    workerKey(workerId),
  ]
  const words = [
    Buffer.from(bullKeys(queue)),
    Buffer.from(workerId),
    asBuffer(Placement.encode(placement).finish()),
    asBuffer(Verdict.encode(verdict).finish()),
    encodeEvent({ verdict }),
    ...attempts.map((attempt) => timeless('PREPARING', { attempt, placement })),
    ...attempts.map((attempt) => timeless('STARTING', { attempt })),
  ]
  return { keys, packed: pack(words) }
}

/** As cmsgpack unpacks a list of strings: each with its length before it, in two bytes. */
function pack(words: Buffer[]): Buffer {
  const head = (kind: number, length: number) => Buffer.from([kind, length >> 8, length & 255])
  return Buffer.concat([head(0xdc, words.length), ...words.flatMap((word) => [head(0xda, word.length), word])])
}

/** What take.lua answers. */
export function readTaken([othersWait, ...words]: Buffer[]): Taken {
  const run = claimedRun(words)
  return { othersWait: String(othersWait) === '1', ...(run && { run }) }
}

/** Undefined: nothing could be taken. */
export function claimedRun([runId, attempt, spec, limits, submitted, digest]: Buffer[]): ClaimedRun | undefined {
  if (!runId || !spec || !limits) return undefined
  return {
    runId: String(runId),
    attempt: Number(attempt),
    spec: RunSpec.decode(spec),
    limits: Limits.decode(limits),
    submittedMs: Number(submitted),
    startingWith: String(digest),
  }
}

/** Of all queues, or of one: where the names of BullMQ's keys begin. */
export const bullKeys = (queue: QueueName | '') => (queue === '' ? `${bullPrefix}:` : `${bullPrefix}:${queue}:`)
