// Following many streams through one blocking XREAD.
//
// A follower is in the XREAD only while its consumer waits for more, so that a slow consumer holds one page of entries and no more. One that
// begins to wait while an XREAD blocks without it has that XREAD unblocked from another connection.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { isAfter } from './events.js'
import { giveBack, type TailConnection } from './tailConnection.js'

export interface Entry {
  id: string
  fields: Map<string, Buffer>
  /** How many were given it. */
  holders: number
}

/** One who was given this entry does not look at it any more; its memory is used again when all have said so. */
export function release(entry: Entry): void {
  if (--entry.holders === 0) for (const value of entry.fields.values()) giveBack(value)
}

interface Waiter {
  key: string
  afterId: string
  /** How many entries of this stream make a page, by the size of the last ones. */
  count: number
  signal: AbortSignal
  resolve(entries: Entry[]): void
}

type Streams = [key: Buffer, entries: [id: Buffer, fields: Buffer[]][]][]

/** What all followers may hold together, as long as each may have a page of the least size. */
const heldBytes = 16 << 20
const leastPageBytes = 128 << 10
const mostPageBytes = 1 << 20
/** Of all pages together: the size of the last entries does not tell that of the next, which may be the largest, of 256 KiB. */
const heldEntries = 64
/** A blocked XREAD returns after this long, so that a connection that died without a word is noticed. */
const blockMs = 5_000
/** Without any answer for this long, the connection is made anew. */
const silentMs = 3 * blockMs
const retryMs = 100

/** `tail` is a connection of its own, which blocks; `reader` is any other one: it unblocks the first, and reads what lies behind. */
export class StreamTail {
  readonly #waiters = new Set<Waiter>()
  #followers = 0
  #running = false
  #waking = false
  #closed = false
  /** An XREAD is on its way. */
  #reading = false
  /** Somebody waits who is not in it. */
  #late = false
  #clientId: number | undefined

  constructor(
    private readonly tail: TailConnection,
    private readonly reader: Redis,
  ) {}

  /** Entries after `afterId` ("0" for all), as they come, until the signal. A stream whose consumer does not wait for more is not read. */
  async *follow(key: string, afterId: string, signal: AbortSignal): AsyncGenerator<Entry[], void, undefined> {
    let place = afterId
    let count = 8
    this.#followers++
    try {
      while (!signal.aborted && !this.#closed) {
        const entries = await this.#next(key, place, count, signal)
        const last = entries.at(-1)
        if (last === undefined) continue
        place = last.id
        count = this.#pageEntries(entries)
        yield entries
      }
    } finally {
      this.#followers--
    }
  }

  /** Followers end; the connections are their owner's. */
  close(): void {
    this.#closed = true
    for (const waiter of this.#waiters) waiter.resolve([])
  }

  #pageEntries(entries: Entry[]): number {
    let bytes = 0
    for (const { fields } of entries) for (const value of fields.values()) bytes += value.length + 64
    const pageBytes = Math.min(Math.max(heldBytes / this.#followers, leastPageBytes), mostPageBytes)
    return Math.max(Math.floor((pageBytes * entries.length) / bytes), 1)
  }

  /** How many entries each of them is given at most. */
  #countFor(waiters: Waiter[]): number {
    return Math.min(...waiters.map(({ count }) => count), Math.ceil(heldEntries / this.#followers))
  }

  #next(key: string, afterId: string, count: number, signal: AbortSignal): Promise<Entry[]> {
    return new Promise((resolve) => {
      const settle = (entries: Entry[]) => {
        signal.removeEventListener('abort', leave)
        this.#waiters.delete(waiter)
        resolve(entries)
      }
      const leave = () => settle([])
      const waiter: Waiter = { key, afterId, count, signal, resolve: settle }
      signal.addEventListener('abort', leave, { once: true })
      this.#join(waiter)
    })
  }

  #join(waiter: Waiter): void {
    this.#waiters.add(waiter)
    this.#late = true
    if (!this.#running) void this.#run()
    else if (this.#reading) void this.#wake()
  }

  /** Reads as long as somebody waits. Never rejects: what cannot be read now is read when Redis is back. */
  async #run(): Promise<void> {
    this.#running = true
    while (this.#waiters.size > 0 && !this.#closed) {
      const silent = setTimeout(() => this.tail.disconnect(), silentMs)
      try {
        this.#clientId = await this.tail.id()
        // Consumers that have just been served ask for more before the next read is made up.
        await new Promise(setImmediate)
        if (this.#waiters.size > 0) await this.#read()
      } catch {
        this.#clientId = undefined
        await sleep(retryMs)
      } finally {
        clearTimeout(silent)
      }
    }
    this.#running = false
  }

  async #read(): Promise<void> {
    const { ahead, behind } = places(this.#waiters)
    for (const [waiter, front] of behind) void this.#catchUp(waiter, front)
    this.#late = false
    this.#reading = true
    try {
      const words = ['XREAD', 'COUNT', this.#countFor(ahead), 'BLOCK', blockMs, 'STREAMS', ...keysAndPlaces(ahead)]
      deliver(ahead, (await this.tail.ask(words)) as Streams | null)
    } finally {
      this.#reading = false
    }
  }

  /** XREAD takes one place a stream, and takes the foremost: what another follower has yet to see is there already, and read beside it. */
  async #catchUp(waiter: Waiter, front: string): Promise<void> {
    this.#waiters.delete(waiter)
    try {
      const streams = await this.reader.xreadBuffer('COUNT', this.#countFor([waiter]), 'STREAMS', waiter.key, waiter.afterId)
      if (streams) return deliver([waiter], streams)
      // Removed meanwhile: nothing is left for it but what is to come.
      waiter.afterId = front
    } catch {
      await sleep(retryMs)
    }
    if (!waiter.signal.aborted) this.#join(waiter)
  }

  /** Unblocks an XREAD that does not know of somebody new. It may not have reached Redis yet: then again, until it is over. */
  async #wake(): Promise<void> {
    if (this.#waking) return
    this.#waking = true
    for (let pauseMs = 1; this.#late && this.#reading; pauseMs = Math.min(pauseMs * 2, 50)) {
      const unblocked = this.#clientId === undefined ? 0 : await this.reader.client('UNBLOCK', this.#clientId).catch(() => 0)
      if (unblocked === 0) await sleep(pauseMs)
      else await new Promise(setImmediate)
    }
    this.#waking = false
  }
}

/** Of the followers of one stream those that are furthest, and the others with that place. */
function places(waiters: Iterable<Waiter>): { ahead: Waiter[]; behind: [waiter: Waiter, front: string][] } {
  const fronts = new Map<string, string>()
  for (const { key, afterId } of waiters) {
    const front = fronts.get(key)
    if (front === undefined || isAfter(afterId, front)) fronts.set(key, afterId)
  }
  const ahead: Waiter[] = []
  const behind: [Waiter, string][] = []
  for (const waiter of waiters) {
    const front = fronts.get(waiter.key) ?? waiter.afterId
    if (front === waiter.afterId) ahead.push(waiter)
    else behind.push([waiter, front])
  }
  return { ahead, behind }
}

function keysAndPlaces(waiters: Waiter[]): string[] {
  const byKey = new Map(waiters.map(({ key, afterId }) => [key, afterId]))
  return [...byKey.keys(), ...byKey.values()]
}

function deliver(waiters: Waiter[], streams: Streams | null): void {
  const byKey = new Map(streams?.map(([key, entries]) => [key.toString(), entries.map(entry)]))
  for (const [key, entries] of byKey) {
    const holders = waiters.filter((waiter) => waiter.key === key).length
    for (const each of entries) each.holders = holders
  }
  for (const waiter of waiters) {
    const entries = byKey.get(waiter.key)
    if (entries) waiter.resolve(entries)
  }
}

/** As Redis gives it, for as many holders as are said later. */
export function entry([id, pairs]: [id: Buffer, fields: Buffer[]]): Entry {
  const fields = new Map<string, Buffer>()
  for (let i = 0; i + 1 < pairs.length; i += 2) fields.set(String(pairs[i]), pairs[i + 1] ?? Buffer.alloc(0))
  return { id: id.toString(), fields, holders: 0 }
}
