// Bytes in a row, kept in blocks that all runs share and use again: memory that is allocated anew for everything that a program writes would
// keep the garbage collector busier than the output itself does.

const blockBytes = 64 * 1024
/** Blocks that nobody uses; more are left to the garbage collector. */
const mostSpare = 64
const spare: Buffer[] = []

/** First in, first out: bytes are pushed, taken, and released in the same order. */
export class ByteQueue {
  /** From the oldest byte that was not released to the newest. */
  #blocks: Buffer[] = []
  /** Positions, from the first byte of the first block. */
  #released = 0
  #taken = 0
  #end = 0

  /** Keeps a copy. */
  push(data: Uint8Array): void {
    for (let at = 0; at < data.length; ) {
      if (this.#end === this.#blocks.length * blockBytes) this.#blocks.push(spare.pop() ?? Buffer.allocUnsafeSlow(blockBytes))
      const start = this.#end % blockBytes
      const part = data.subarray(at, at + blockBytes - start)
      this.#blocks.at(-1)?.set(part, start)
      at += part.length
      this.#end += part.length
    }
  }

  /** Views of the next `bytes`, good until these are released. */
  take(bytes: number): Buffer[] {
    const parts: Buffer[] = []
    for (const end = this.#taken + bytes; this.#taken < end; ) {
      const start = this.#taken % blockBytes
      const block = this.#blocks[(this.#taken - start) / blockBytes]
      const part = block?.subarray(start, start + end - this.#taken)
      if (!part) throw new Error('more bytes are taken than were pushed')
      parts.push(part)
      this.#taken += part.length
    }
    return parts
  }

  /** The oldest `bytes` that were taken; nothing where they were abandoned since. */
  release(bytes: number): void {
    if (this.#taken - this.#released < bytes) return
    this.#released += bytes
    const empty = this.#released === this.#end ? this.#blocks.length : Math.floor(this.#released / blockBytes)
    for (const block of this.#blocks.splice(0, empty)) if (spare.length < mostSpare) spare.push(block)
    if (this.#released === this.#end) this.#released = this.#taken = this.#end = 0
    else this.#forget(empty * blockBytes)
  }

  /** Nothing is taken any more. Somebody may still look at what was, so its blocks are not used again. */
  abandon(): void {
    this.#blocks = []
    this.#released = this.#taken = this.#end = 0
  }

  #forget(bytes: number): void {
    this.#released -= bytes
    this.#taken -= bytes
    this.#end -= bytes
  }
}
