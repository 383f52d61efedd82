import type { caisson } from '../proto/messages.js'

type Stage = keyof caisson.v1.IStages

/** How long each stage took: a mark ends one, and the next begins. */
export class StageClock {
  readonly stages: caisson.v1.IStages = {}
  #sinceMs = performance.timeOrigin + performance.now()

  /** The first stage began elsewhere. */
  begunAt(ms: number): void {
    this.#sinceMs = ms
  }

  mark(stage: Stage): void {
    const nowMs = performance.timeOrigin + performance.now()
    // Clocks of two hosts may differ: a stage never takes less than nothing.
    this.stages[stage] = Math.max(0, Math.round((nowMs - this.#sinceMs) * 1000))
    this.#sinceMs = nowMs
  }
}
