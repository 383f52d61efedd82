/** How many bytes of one stream may be on the way: at most `window`, and what was spent comes back by `grant`. Pure. */
export class Credit {
  readonly #window: number
  #left: number

  constructor(window: number) {
    this.#window = window
    this.#left = window
  }

  get left(): number {
    return this.#left
  }

  /** False: more than was left, nothing is spent. */
  spend(bytes: number): boolean {
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }

  /** False: more than was spent, nothing comes back. */
  grant(bytes: number): boolean {
    if (this.#left + bytes > this.#window) return false
    this.#left += bytes
    return true
  }
}
