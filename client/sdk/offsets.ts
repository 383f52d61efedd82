// Proof at the client that no byte of output is lost or doubled, whatever happened on the way.

import { CaissonError } from './error.js'
import type { RunEvent, StreamName } from './model.js'

type OutputEvent = Extract<RunEvent, { type: 'output' }>

export class Offsets {
  #attempt = 0
  readonly #next = new Map<StreamName, number>()

  /** False: these bytes were handed out before. Throws DATA_LOSS when bytes are missing. */
  advance({ stream, offset, data, attempt }: OutputEvent): boolean {
    if (attempt !== this.#attempt) this.#startAgain(attempt)
    // A watch that began at a cursor takes the first offset it sees.
    const next = this.#next.get(stream) ?? offset
    if (offset < next) return false
    if (offset > next) throw new CaissonError('DATA_LOSS', `${stream} misses ${offset - next} bytes at offset ${next}`)
    this.#next.set(stream, next + data.length)
    return true
  }

  #startAgain(attempt: number): void {
    this.#attempt = attempt
    this.#next.clear()
  }
}
