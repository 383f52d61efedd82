// What this worker may give away, and to whom it has. Pure but for the waiting.
import type { caisson } from '../proto/messages.js'
import { Failure } from '../proto/reason.js'
import { Deferred } from './deferred.js'

export interface Share {
  cpuMillis: number
  memoryBytes: number
}

/** Of a run whose walls take nothing to speak of. */
export const shareOf = ({ cpuMillis, memoryBytes }: caisson.v1.ILimits): Share => ({
  cpuMillis: cpuMillis ?? 0,
  memoryBytes: memoryBytes ?? 0,
})

interface Waiting {
  share: Share
  turn: Deferred<Disposable>
}

/** First come, first served: a large run is not overtaken for ever by small ones. */
export class Capacity {
  readonly total: Share
  readonly maxRuns: number
  readonly #free: Share
  #active = 0
  #waiting: Waiting[] = []
  #roomForNext: Deferred<void> | undefined

  constructor(total: Share, maxRuns: number) {
    this.total = total
    this.maxRuns = maxRuns
    this.#free = { ...total }
  }

  get free(): Readonly<Share> {
    return this.#free
  }

  get active(): number {
    return this.#active
  }

  /** A run that comes now has to wait, whatever it asks for. */
  get isBusy(): boolean {
    return this.#waiting.length > 0 || this.#active >= this.maxRuns
  }

  /** Until a run that comes now would not have to wait behind another. */
  async untilNobodyWaits(): Promise<void> {
    while (this.isBusy) {
      this.#roomForNext ??= new Deferred()
      await this.#roomForNext.promise
    }
  }

  /** Room for one run, given back by dispose. */
  async take(share: Share, signal: AbortSignal): Promise<Disposable> {
    this.#checkPossible(share)
    signal.throwIfAborted()
    if (this.#waiting.length === 0 && this.#fits(share)) return this.#give(share)
    const waiting = { share, turn: new Deferred<Disposable>() }
    this.#waiting.push(waiting)
    const leave = () => {
      this.#waiting = this.#waiting.filter((other) => other !== waiting)
      waiting.turn.reject(signal.reason)
      this.#serve()
    }
    signal.addEventListener('abort', leave, { once: true })
    try {
      return await waiting.turn.promise
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }

  #checkPossible({ cpuMillis, memoryBytes }: Share): void {
    const { total } = this
    if (cpuMillis > total.cpuMillis) throw tooMuch('cpu_millis', cpuMillis, total.cpuMillis)
    if (memoryBytes > total.memoryBytes) throw tooMuch('memory_bytes', memoryBytes, total.memoryBytes)
  }

  #fits({ cpuMillis, memoryBytes }: Share): boolean {
    return this.#active < this.maxRuns && cpuMillis <= this.#free.cpuMillis && memoryBytes <= this.#free.memoryBytes
  }

  #give(share: Share): Disposable {
    this.#account(share, 1)
    let isGiven = true
    return {
      [Symbol.dispose]: () => {
        if (!isGiven) return
        isGiven = false
        this.#account(share, -1)
        this.#serve()
      },
    }
  }

  #account({ cpuMillis, memoryBytes }: Share, runs: 1 | -1): void {
    this.#active += runs
    this.#free.cpuMillis -= runs * cpuMillis
    this.#free.memoryBytes -= runs * memoryBytes
  }

  #serve(): void {
    for (let next = this.#waiting[0]; next && this.#fits(next.share); next = this.#waiting[0]) {
      this.#waiting.shift()
      next.turn.resolve(this.#give(next.share))
    }
    if (this.isBusy) return
    this.#roomForNext?.resolve()
    this.#roomForNext = undefined
  }
}

const tooMuch = (field: string, asked: number, total: number) =>
  new Failure('INTERNAL', `with its walls the run takes ${field} ${asked}, and this worker has ${total} in all`)
