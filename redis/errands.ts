// What control asks of one worker beside runs (proto/errand.proto). An errand waits in its worker's stream for a moment only; its answers are
// kept for whoever holds its lease. So what a dead worker did not take, or a dead control no longer wants, is gone by itself.
import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { answersKey, errandLeaseKey, errandsKey, workerKey } from '../proto/keys.js'
import { caisson } from '../proto/messages.js'
import { Refusal } from '../proto/reason.js'
import { asBuffer } from './events.js'
import { Scripts } from './scripts.js'
import type { StreamTail } from './tail.js'

const { Answer, Errand } = caisson.errand.v1
type Answer = caisson.errand.v1.Answer
type Errand = caisson.errand.v1.Errand

/** The worker gives a sign of life this often. */
export const signMs = 1_000
/** Without any for so long, it is held to be lost. */
const silentMs = 8_000
const leaseMs = 10_000
const renewMs = 3_000
/** For a worker that does not take it. More than `silentMs`: until then somebody waits. */
const waitingMs = 15_000
const mostWaiting = 64
/** Progress that a slow client has not read is replaced by newer one. */
const mostAnswers = 256
/** After the last answer, for a control that died. */
const answersMs = 30_000
export const mostAnswerBytes = 1 << 20

export interface TakenErrand {
  id: string
  errand: Errand
}

export class Errands {
  readonly #scripts: Scripts

  constructor(
    private readonly redis: Redis,
    private readonly tail: StreamTail,
  ) {
    this.#scripts = new Scripts(redis)
  }

  /**
   * Control: what the worker answers, the last one included. Throws a Refusal for a worker that does not live, is busy or falls silent.
   * Leaving the iteration, or `signal`, tells the worker that nobody waits any more. `make` is given the errand's id.
   */
  async *send(
    workerId: string,
    make: (errandId: string) => caisson.errand.v1.IErrand,
    signal: AbortSignal,
  ): AsyncGenerator<Answer, void, undefined> {
    const id = randomUUID()
    await this.#give(workerId, id, make(id))
    using _lease = this.#renewing(id)
    try {
      yield* this.#answers(workerId, id, signal)
    } finally {
      await this.redis.del(errandLeaseKey(id), answersKey(id)).catch(() => {})
    }
  }

  /** Worker: every errand that it is sent on, each once. */
  async *taken(workerId: string, signal: AbortSignal): AsyncGenerator<TakenErrand, void, undefined> {
    const key = errandsKey(workerId)
    for await (const entries of this.tail.follow(key, '0', signal)) {
      for (const { id, fields } of entries) {
        await this.redis.xdel(key, id)
        const taken = read(fields)
        if (taken) yield taken
      }
    }
  }

  /** Worker: false when nobody waits any more. Without an answer it is a sign of life. */
  async answer(errandId: string, answer?: caisson.errand.v1.IAnswer, isLast = false): Promise<boolean> {
    const encoded = answer === undefined ? Buffer.alloc(0) : asBuffer(Answer.encode(answer).finish())
    if (encoded.length > mostAnswerBytes)
      throw new Error(`an answer of ${encoded.length} bytes: at most ${mostAnswerBytes} are sent`)
    const keys = [errandLeaseKey(errandId), answersKey(errandId)]
    return (await this.#scripts.call('answer', keys, [encoded, isLast ? 1 : '', mostAnswers, answersMs])) === 1
  }

  async #give(workerId: string, id: string, errand: caisson.errand.v1.IErrand): Promise<void> {
    const keys = [workerKey(workerId), errandsKey(workerId), errandLeaseKey(id)]
    const encoded = asBuffer(Errand.encode(errand).finish())
    const outcome = await this.#scripts.call('errand', keys, [id, encoded, mostWaiting, waitingMs, leaseMs])
    if (String(outcome) === 'gone') throw new Refusal('WORKER_NOT_FOUND', `no worker ${workerId} lives`)
    if (String(outcome) === 'busy') throw new Refusal('WORKER_BUSY', `worker ${workerId} has too much to do: try again later`)
  }

  /** A lease that expired all the same shows as the worker's silence. */
  #renewing(id: string): Disposable {
    const timer = setInterval(() => void this.redis.pexpire(errandLeaseKey(id), leaseMs).catch(() => {}), renewMs)
    return { [Symbol.dispose]: () => clearInterval(timer) }
  }

  async *#answers(workerId: string, id: string, signal: AbortSignal): AsyncGenerator<Answer, void, undefined> {
    const over = new AbortController()
    const pages = this.tail.follow(answersKey(id), '0', AbortSignal.any([signal, over.signal]))
    try {
      for (;;) {
        // Only while an answer is waited for: a client that reads slowly is no silence of the worker.
        const silent = setTimeout(() => over.abort(), silentMs)
        const page = await pages.next()
        clearTimeout(silent)
        signal.throwIfAborted()
        if (page.done) throw new Refusal('WORKER_SILENT', `worker ${workerId} does not answer`)
        for (const { fields } of page.value) {
          const bytes = fields.get('a') ?? Buffer.alloc(0)
          if (bytes.length > 0) yield Answer.decode(bytes)
          if (fields.has('last')) return
        }
      }
    } finally {
      over.abort()
      await pages.return()
    }
  }
}

/** Undefined: of a control that speaks another version; it will hear nothing, and say so. */
function read(fields: Map<string, Buffer>): TakenErrand | undefined {
  try {
    return { id: String(fields.get('i')), errand: Errand.decode(fields.get('e') ?? Buffer.alloc(0)) }
  } catch {
    return undefined
  }
}
