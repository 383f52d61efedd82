// Events of a run: entries of its stream, and the cursors that name them.
import type { Redis } from 'ioredis'
import { eventsKey } from '../proto/keys.js'
import { caisson, type google } from '../proto/messages.js'
import { type StateName, stateNumber } from '../proto/state.js'
import { Gathered } from './command.js'

const { RunEvent, Output } = caisson.v1

/** Output that stays where it lies. */
export interface OutputEvent {
  time: google.protobuf.ITimestamp
  output: Required<Omit<caisson.v1.IOutput, 'data'>> & { data: Gathered }
  truncated?: never
}

/** Of fields that hold bytes or a message (run.proto). */
const fieldTag = { output: (5 << 3) | 2, data: (3 << 3) | 2 }

export const timestamp = (ms: number): google.protobuf.ITimestamp => ({
  seconds: Math.floor(ms / 1000),
  nanos: Math.round((ms % 1000) * 1e6),
})

export const milliseconds = (time: google.protobuf.ITimestamp): number => (time.seconds ?? 0) * 1000 + (time.nanos ?? 0) / 1e6

/** As it lies in the stream; the reader adds run_id and cursor. */
export const encodeEvent = (event: caisson.v1.IRunEvent): Buffer => asBuffer(RunEvent.encode(event).finish())

/** The same as encodeEvent, but that the bytes of output are the last field, and not copied. */
export function encodeOutput({ time, output: { data, ...rest } }: OutputEvent): Gathered {
  const fields = Output.encode(rest).uint32(fieldTag.data).uint32(data.length).finish()
  const head = RunEvent.encode({ time })
    .uint32(fieldTag.output)
    .uint32(fields.length + data.length)
    .finish()
  return new Gathered([Buffer.concat([head, fields]), ...data.parts])
}

/** An event's time, to be put before the rest of it: fields of a message may come in pieces. */
export const encodeTime = (ms: number): Buffer => encodeEvent({ time: timestamp(ms) })

export function stateEvent(nowMs: number, state: StateName, change: Omit<caisson.v1.IStateChange, 'state'>): Buffer {
  return encodeEvent({ time: timestamp(nowMs), state: { ...change, state: stateNumber(state) } })
}

export const verdictEvent = (nowMs: number, verdict: caisson.v1.IVerdict): Buffer =>
  encodeEvent({ time: timestamp(nowMs), verdict })

/**
 * An encoded RunEvent with run_id and cursor, made by appending them to the stored bytes: fields of a message may come in any order. So
 * output goes from Redis to the client without being decoded.
 */
export function completeEvent(runId: string, entryId: string, stored: Buffer): Gathered {
  const rest = RunEvent.encode({ runId, cursor: encodeCursor(runId, entryId) }).finish()
  return new Gathered([stored, asBuffer(rest)])
}

export const encodeCursor = (runId: string, entryId: string): string => Buffer.from(`${runId} ${entryId}`).toString('base64url')

/** The entry that a cursor names; undefined if it is not a cursor of this run. */
export function decodeCursor(runId: string, cursor: string): string | undefined {
  if (cursor.length > 128) return undefined
  const [run, entryId, ...rest] = Buffer.from(cursor, 'base64url').toString('latin1').split(' ')
  if (run !== runId || entryId === undefined || rest.length > 0) return undefined
  return /^\d{1,16}-\d{1,16}$/.test(entryId) ? entryId : undefined
}

/** Order of entry ids in a stream. */
export function isAfter(id: string, other: string): boolean {
  const [ms = 0, sequence = 0] = id.split('-').map(Number)
  const [otherMs = 0, otherSequence = 0] = other.split('-').map(Number)
  return ms > otherMs || (ms === otherMs && sequence > otherSequence)
}

/** Every event recorded so far, decoded; for tests and tools. A watch follows the stream by StreamTail. */
export async function readEvents(redis: Redis, runId: string): Promise<caisson.v1.RunEvent[]> {
  const entries = await redis.xrangeBuffer(eventsKey(runId), '-', '+')
  return entries.map(([id, fields]) => {
    const { parts } = completeEvent(runId, id.toString(), fields[1] ?? Buffer.alloc(0))
    return RunEvent.decode(Buffer.concat(parts))
  })
}

/** protobufjs gives Buffers in Node, typed as Uint8Array. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
