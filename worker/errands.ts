// The errands that control sends this worker on (proto/errand.proto): some at a time, each for as long as somebody waits for its answer.
import { setTimeout as sleep } from 'node:timers/promises'
import type { caisson } from '../proto/messages.js'
import { Failure } from '../proto/reason.js'
import { type Errands, signMs, type TakenErrand } from '../redis/errands.js'
import type { Log } from './log.js'

type IAnswer = caisson.errand.v1.IAnswer
type Progress = Pick<IAnswer, 'layer' | 'checked'>

export interface ErrandWork {
  /** The last answer. `report`: something before it. */
  do(taken: TakenErrand, signal: AbortSignal, report: (progress: Progress) => void): Promise<IAnswer>
  /** What is told of an error, if the client is to know more than that it was ours. */
  failureOf(error: unknown): caisson.v1.IFailure
}

const mostInHand = 64
const retryMs = 1_000
/** Progress is for people. */
const tellMs = 250

export class ErrandDesk {
  readonly #inHand = new Map<string, { stop: AbortController; over: Promise<void> }>()
  readonly #closing = new AbortController()

  constructor(
    private readonly errands: Errands,
    private readonly work: ErrandWork,
    private readonly log: Log,
  ) {}

  /** Until `close`, whatever Redis says. */
  async serve(workerId: string): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        for await (const taken of this.errands.taken(workerId, signal)) {
          if (this.#inHand.size >= mostInHand) await this.errands.answer(taken.id, busy, true)
          else this.#begin(taken)
        }
        return
      } catch (error) {
        this.log.error('errands cannot be taken', error)
        await sleep(retryMs)
      }
    }
  }

  /** Takes no more, and tells who waits that nothing will come of it. */
  async close(): Promise<void> {
    this.#closing.abort()
    const all = [...this.#inHand.values()]
    for (const { stop } of all) stop.abort(new Failure('WORKER_DRAINED', 'the worker is stopping'))
    await Promise.all(all.map(({ over }) => over))
  }

  #begin(taken: TakenErrand): void {
    const stop = new AbortController()
    const over = this.#do(taken, stop)
      .catch((error) => this.log.error('an errand could not be answered', error))
      .finally(() => this.#inHand.delete(taken.id))
    this.#inHand.set(taken.id, { stop, over })
  }

  async #do(taken: TakenErrand, stop: AbortController): Promise<void> {
    if (!(await this.errands.answer(taken.id))) return
    const telling = new Telling(this.errands, taken.id, () => stop.abort(nobodyWaits))
    try {
      const answer = await this.work.do(taken, stop.signal, (progress) => telling.see(progress))
      await telling.rest()
      await this.errands.answer(taken.id, answer, true)
    } catch (error) {
      if (stop.signal.reason !== nobodyWaits) await this.errands.answer(taken.id, { failed: this.work.failureOf(error) }, true)
    } finally {
      telling.end()
    }
  }
}

const nobodyWaits = new Error('nobody waits for it any more')

const busy: IAnswer = {
  failed: { reason: 'WORKER_BUSY', message: `the worker is on ${mostInHand} errands already: try again later` },
}

/** Signs of life, and the latest progress of each thing, at a pace that Redis does not feel. Each also asks whether somebody still waits. */
class Telling {
  readonly #latest = new Map<string, Progress>()
  readonly #timer: NodeJS.Timeout
  #toldMs = Date.now()
  #under: Promise<void> | undefined

  constructor(
    private readonly errands: Errands,
    private readonly id: string,
    private readonly onLeft: () => void,
  ) {
    this.#timer = setInterval(() => this.#tick(), tellMs)
  }

  see(progress: Progress): void {
    this.#latest.set(progress.layer?.digest ?? '', progress)
  }

  /** What was seen is told, and nothing is under way. */
  async rest(): Promise<void> {
    clearInterval(this.#timer)
    await this.#under
    await this.#tell()
  }

  end(): void {
    clearInterval(this.#timer)
  }

  #tick(): void {
    if (this.#under || (this.#latest.size === 0 && Date.now() - this.#toldMs < signMs)) return
    this.#under = this.#tell()
      // Redis lost it with our connection: the next one tells.
      .catch(() => {})
      .finally(() => {
        this.#under = undefined
      })
  }

  async #tell(): Promise<void> {
    this.#toldMs = Date.now()
    const progress = [...this.#latest.values()]
    this.#latest.clear()
    for (const each of progress.length > 0 ? progress : [undefined]) {
      if (!(await this.errands.answer(this.id, each))) return this.onLeft()
    }
  }
}
