// The supervisor's signals: the first one asks for an orderly end, the second for an end at once.

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export class Stops {
  readonly #first = new AbortController()
  readonly #second = new AbortController()
  readonly first = this.#first.signal
  readonly second = this.#second.signal
  readonly asked: Promise<void>

  constructor() {
    this.asked = new Promise((resolve) => this.first.addEventListener('abort', () => resolve(), { once: true }))
    for (const signal of signals) process.on(signal, () => (this.first.aborted ? this.#second : this.#first).abort())
  }
}
