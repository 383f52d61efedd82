// Answers of Redis, put together from chunks that are gone afterwards. Pure.

export type Reply = string | number | null | Buffer | Reply[] | Error

interface Open {
  items: Reply[]
  count: number
}

const newline = 10
const lineEnd = '\r\n'

export class ReplyParser {
  /** Of a line that began in an earlier chunk. */
  #line = ''
  #bulk: Buffer | undefined
  /** Of the bulk and the line end behind it. */
  #filled = 0
  #open: Open[] = []

  /** `room`: where a string of so many bytes is put. */
  constructor(private readonly room: (bytes: number) => Buffer) {}

  *push(chunk: Buffer): Generator<Reply, void, void> {
    for (let at = 0; at < chunk.length; ) {
      let value: Reply | undefined
      if (this.#bulk) {
        const wanted = this.#bulk.length + lineEnd.length - this.#filled
        if (this.#filled < this.#bulk.length) chunk.copy(this.#bulk, this.#filled, at)
        this.#filled += Math.min(wanted, chunk.length - at)
        at += wanted
        if (at > chunk.length) return
        value = this.#bulk
        this.#bulk = undefined
      } else {
        const end = chunk.indexOf(newline, at)
        this.#line += chunk.toString('latin1', at, end < 0 ? chunk.length : end)
        if (end < 0) return
        at = end + 1
        value = this.#begin(this.#line.slice(0, -1))
        this.#line = ''
      }
      const reply = value === undefined ? undefined : this.#close(value)
      if (reply !== undefined) yield reply
    }
  }

  /** A value that is its line alone, or undefined where more belongs to it. */
  #begin(line: string): Reply | undefined {
    const text = line.slice(1)
    const count = Number(text)
    switch (line[0]) {
      case '+':
        return text
      case '-':
        return new Error(text)
      case ':':
        return count
      case '$':
        if (count < 0) return null
        this.#bulk = this.room(count)
        this.#filled = 0
        return undefined
      case '*':
        if (count <= 0) return count < 0 ? null : []
        this.#open.push({ items: [], count })
        return undefined
      default:
        throw new Error(`not an answer of Redis: ${JSON.stringify(line.slice(0, 40))}`)
    }
  }

  /** The whole answer that this value completes, if it does. */
  #close(value: Reply): Reply | undefined {
    let whole = value
    for (let open = this.#open.at(-1); open; open = this.#open.at(-1)) {
      open.items.push(whole)
      if (open.items.length < open.count) return undefined
      this.#open.pop()
      whole = open.items
    }
    return whole
  }
}
