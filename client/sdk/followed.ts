// A run that is being watched: its events as they come, and its verdict.

import { CaissonError } from './error.js'
import type { RunEvent, Verdict } from './model.js'

/**
 * Iterate it once for every event; or only await `verdict()`, which then reads (and drops) the events itself.
 * Leaving the iteration early ends the watch, not the run.
 */
export class FollowedRun implements AsyncIterable<RunEvent> {
  readonly #events: AsyncGenerator<RunEvent, void, undefined>
  #iterated = false
  #resolve!: (verdict: Verdict) => void
  #reject!: (error: unknown) => void
  readonly #verdict: Promise<Verdict>

  /** `lookup` asks for the verdict of a run whose last event came before this watch. */
  constructor(
    events: AsyncGenerator<RunEvent, void, undefined>,
    private readonly lookup: (runId: string) => Promise<Verdict>,
    /** Known from the first event on, if not before. */
    public runId?: string,
  ) {
    this.#events = events
    this.#verdict = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Who only iterates meets the same error there.
    this.#verdict.catch(() => {})
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<RunEvent, void, undefined> {
    if (this.#iterated) throw new Error('the events of a run are iterated once: watch it again')
    this.#iterated = true
    let verdictSeen = false
    try {
      for await (const event of this.#events) {
        this.runId = event.runId
        if (event.type === 'verdict') {
          this.#resolve(event.verdict)
          verdictSeen = true
        }
        yield event
      }
      if (!verdictSeen && this.runId !== undefined) this.#resolve(await this.lookup(this.runId))
    } catch (error) {
      this.#reject(error)
      throw error
    } finally {
      if (!verdictSeen) this.#reject(new CaissonError('CANCELLED', 'the watch was left before the verdict'))
    }
  }

  /** The end of the run. Rejects when the watch fails or is left early. */
  async verdict(): Promise<Verdict> {
    if (!this.#iterated) for await (const _ of this);
    return this.#verdict
  }
}
