// What a client sends to its run: input, end of input, signals, the wish to cancel. Input that the program has not taken is bounded, so that
// a program that does not read holds its client back, and not Redis.
import type { Redis } from 'ioredis'
import { inboxKey, inputTakenKey, runKey } from '../proto/keys.js'
import type { Argument } from './command.js'
import { Scripts } from './scripts.js'
import type { Entry, StreamTail } from './tail.js'

export type Message =
  | { kind: 'data'; id: string; offset: number; data: Buffer }
  | { kind: 'end'; id: string }
  | { kind: 'signal'; id: string; signal: number; group: boolean }
  | { kind: 'cancel'; id: string }

export const mostWaitingBytes = 4 << 20
export const mostWaitingMessages = 1_024

export interface Sent {
  outcome: 'ok' | 'full' | 'gap' | 'contended' | 'closed' | 'detached' | 'ended' | 'gone'
  /** Input recorded so far. */
  sentBytes: number
  /** With full: there may be room once something follows this entry (see `room`). */
  takenId: string
}

export class Inbox {
  readonly #scripts: Scripts

  constructor(
    private readonly redis: Redis,
    private readonly tail: StreamTail,
  ) {
    this.#scripts = new Scripts(redis)
  }

  /**
   * `offset`: of data's first byte in the whole input; what is recorded already is dropped. `alone`: it is an error if something is,
   * for then another client feeds this run. Without an offset data follows what is recorded.
   */
  sendData(runId: string, data: Uint8Array, offset: number | undefined, alone: boolean): Promise<Sent> {
    return this.#send(runId, ['d', data, offset ?? '', alone ? 1 : ''])
  }

  sendEnd(runId: string): Promise<Sent> {
    return this.#send(runId, ['e', 1, '', ''])
  }

  /** `group`: to all of the main process's group. */
  sendSignal(runId: string, signal: number, group: boolean): Promise<Sent> {
    return this.#send(runId, [group ? 'g' : 's', signal, '', ''])
  }

  async recordedBytes(runId: string): Promise<number> {
    return Number(await this.redis.hget(runKey(runId), 'sent'))
  }

  /** Resolves when something was taken after `takenId`, or the run has ended. */
  async room(runId: string, takenId: string, signal: AbortSignal): Promise<void> {
    for await (const _ of this.tail.follow(inputTakenKey(runId), takenId, signal)) return
  }

  /** Worker: every message of the run in order, those from before the claim included. */
  async *messages(runId: string, signal: AbortSignal): AsyncGenerator<Message, void, undefined> {
    for await (const entries of this.tail.follow(inboxKey(runId), '0', signal)) {
      for (const entry of entries) yield message(entry)
    }
  }

  /**
   * Worker: the program's input is taken up to `bytes` (of the whole input), and messages up to `lastId` are done with. They are
   * removed, which lets the client send more. False: the attempt is no longer the run's.
   */
  async taken(runId: string, attempt: number, bytes: number, lastId: string): Promise<boolean> {
    const keys = [runKey(runId), inboxKey(runId), inputTakenKey(runId)]
    return (await this.#scripts.call('taken', keys, [attempt, bytes, following(lastId)])) === 1
  }

  async #send(runId: string, message: Argument[]): Promise<Sent> {
    const keys = [runKey(runId), inboxKey(runId), inputTakenKey(runId)]
    const answer = await this.#scripts.call('send', keys, [...message, mostWaitingBytes, mostWaitingMessages])
    const [outcome, sent, takenId] = (answer as Buffer[]).map(String)
    return { outcome: outcome as Sent['outcome'], sentBytes: Number(sent), takenId: takenId ?? '0-0' }
  }
}

function message({ id, fields }: Entry): Message {
  const data = fields.get('d')
  if (data) return { kind: 'data', id, offset: Number(fields.get('o')), data }
  const group = fields.get('g')
  const signal = group ?? fields.get('s')
  if (signal) return { kind: 'signal', id, signal: Number(signal), group: group !== undefined }
  return { kind: fields.has('e') ? 'end' : 'cancel', id }
}

/** The smallest entry id after this one. */
function following(id: string): string {
  const [ms, sequence] = id.split('-')
  return `${ms}-${BigInt(sequence ?? 0) + 1n}`
}
