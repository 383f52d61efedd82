// The part of an input that is written but not yet known to be recorded, addressed by its offset in the whole input.

// However small the writes are, looking for an offset stays cheap.
const chunkLimit = 1024

export class Window {
  #chunks: Buffer[] = []
  #start = 0
  #size = 0
  #ended = false
  #failure: { error: unknown } | undefined
  readonly #waiting = new Set<() => void>()

  constructor(private readonly limitBytes: number) {}

  /** Offset of the first byte kept. */
  get start(): number {
    return this.#start
  }

  get #full(): boolean {
    return this.#size >= this.limitBytes || this.#chunks.length >= chunkLimit
  }

  /** Nothing can come at `offset` before something is released. */
  exhausted(offset: number): boolean {
    return this.#full && offset === this.#start + this.#size
  }

  /** Resolves when the window has room for more. */
  async append(data: Uint8Array): Promise<void> {
    this.#check()
    if (this.#ended) throw new Error('write after end of input')
    if (data.length > 0) {
      this.#chunks.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
      this.#size += data.length
      this.#changed()
    }
    while (this.#full) {
      await this.#change()
      this.#check()
    }
  }

  end(): void {
    this.#ended = true
    this.#changed()
  }

  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#changed()
  }

  /** Waits for a byte at `offset`: true; or for the end of input there: false. */
  async readable(offset: number, signal: AbortSignal): Promise<boolean> {
    const wake = () => this.#changed()
    signal.addEventListener('abort', wake)
    try {
      for (;;) {
        signal.throwIfAborted()
        if (offset < this.#start + this.#size) return true
        if (this.#ended) return false
        await this.#change()
      }
    } finally {
      signal.removeEventListener('abort', wake)
    }
  }

  /** Up to `most` bytes from `offset`, which is readable. Small chunks are joined. */
  read(offset: number, most: number): Buffer {
    const parts: Buffer[] = []
    let at = this.#start
    let want = most
    for (const chunk of this.#chunks) {
      const from = Math.max(0, offset - at)
      at += chunk.length
      if (from >= chunk.length) continue
      const part = chunk.subarray(from, from + want)
      parts.push(part)
      want -= part.length
      if (want === 0) break
    }
    return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts)
  }

  /** Drops what lies before `offset`: it is recorded. */
  release(offset: number): void {
    while (this.#chunks[0] && this.#start < offset) {
      const gone = Math.min(this.#chunks[0].length, offset - this.#start)
      this.#chunks[0] = this.#chunks[0].subarray(gone)
      if (this.#chunks[0].length === 0) this.#chunks.shift()
      this.#start += gone
      this.#size -= gone
    }
    this.#changed()
  }

  #check(): void {
    if (this.#failure) throw this.#failure.error
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve))
  }

  #changed(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }
}
