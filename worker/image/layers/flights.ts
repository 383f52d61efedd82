// One piece of work per key, however many wait for it. It goes on while anybody waits, and is aborted when the last one has left.

import { unlessAborted } from '../../within.js'

interface Flight<T, P> {
  landing: Promise<T>
  abort: AbortController
  listeners: Set<(progress: P) => void>
}

type Work<T, P> = (signal: AbortSignal, report: (progress: P) => void) => Promise<T>

export class Flights<T, P = never> {
  readonly #flights = new Map<string, Flight<T, P>>()

  async join(key: string, signal: AbortSignal, work: Work<T, P>, onProgress: (progress: P) => void = () => {}): Promise<T> {
    signal.throwIfAborted()
    const flight = this.#flights.get(key) ?? this.#start(key, work)
    // Wrapped: one listener may wait several times.
    const listener = (progress: P) => onProgress(progress)
    flight.listeners.add(listener)
    try {
      return await unlessAborted(flight.landing, signal)
    } finally {
      flight.listeners.delete(listener)
      if (flight.listeners.size === 0) this.#end(key, flight)
    }
  }

  #start(key: string, work: Work<T, P>): Flight<T, P> {
    const abort = new AbortController()
    const listeners: Flight<T, P>['listeners'] = new Set()
    const landing = work(abort.signal, (progress) => {
      for (const listener of listeners) listener(progress)
    })
    const flight = { landing, abort, listeners }
    this.#flights.set(key, flight)
    landing.catch(() => {}).finally(() => this.#forget(key, flight))
    return flight
  }

  #end(key: string, flight: Flight<T, P>): void {
    this.#forget(key, flight)
    flight.abort.abort(new Error('nobody waits for it any more'))
  }

  #forget(key: string, flight: Flight<T, P>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}
