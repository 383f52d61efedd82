/** stdout and stderr together, up to limits.output_bytes: cut at exactly that byte. Pure. */
export class OutputBudget {
  readonly limitBytes: number
  #kept = 0
  #exceeded = false

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  /** What was kept so far. */
  get keptBytes(): number {
    return this.#kept
  }

  /** There was more than the limit: a program that writes exactly as much as it may has not exceeded it. */
  get exceeded(): boolean {
    return this.#exceeded
  }

  /** How many of the next `bytes` are kept. */
  take(bytes: number): number {
    const kept = Math.min(bytes, this.limitBytes - this.#kept)
    this.#kept += kept
    if (kept < bytes) this.#exceeded = true
    return kept
  }
}
