// The events of a run, as they are recorded, until its verdict.
import type { Redis } from 'ioredis'
import { eventsKey, runKey } from '../proto/keys.js'
import { invalidFields, Refusal } from '../proto/reason.js'
import { isRunId } from '../proto/runid.js'
import { completeEvent, decodeCursor, isAfter } from '../redis/events.js'
import { type Entry, release, type StreamTail } from '../redis/tail.js'
import type { Outgoing } from './outgoing.js'

/** How often a watch without news asks whether there can be any. */
const checkMs = 15_000
/** So many bytes of events are not kept for more of them. */
const leastTogether = 64 << 10

export class Watch {
  constructor(
    private readonly redis: Redis,
    private readonly tail: StreamTail,
  ) {}

  /** From the start, or after a cursor. */
  async fromCursor(runId: string, cursor: string, out: Outgoing, stop: AbortController): Promise<void> {
    if (!isRunId(runId)) throw invalidFields([{ field: 'run_id', description: 'is not a run id' }])
    const afterId = cursor === '' ? '0-0' : decodeCursor(runId, cursor)
    if (afterId === undefined) {
      const message = 'after_cursor is not a cursor of this run'
      throw new Refusal('INVALID_CURSOR', message, [{ field: 'after_cursor', description: 'is not a cursor of this run' }])
    }
    if (await this.#isOver(runId, afterId)) return
    await this.#after(runId, afterId, out, stop)
  }

  /** Of a run that was created for this watch: its first events are at hand, and the next ones may be soon. */
  async fromFirst(runId: string, first: Entry[], out: Outgoing, stop: AbortController): Promise<void> {
    out.hold(first.map((entry) => completeEvent(runId, entry.id, stored(entry))))
    const last = first.at(-1)
    if (!last?.fields.has('last')) await this.#after(runId, last?.id ?? '0-0', out, stop)
  }

  /** Until the verdict, or until `stop`, whose reason says why if that is an error for the client. */
  async #after(runId: string, afterId: string, out: Outgoing, stop: AbortController): Promise<void> {
    let place = afterId
    const { signal } = stop
    const check = setInterval(() => {
      this.#isOver(runId, place).then(
        (isOver) => isOver && stop.abort(),
        // While Redis is away, the watch waits for it like the tail does.
        (error) => error instanceof Refusal && stop.abort(error),
      )
    }, checkMs)
    try {
      for await (const entries of this.tail.follow(eventsKey(runId), afterId, signal)) {
        if (await this.#write(runId, entries, out, signal)) return
        place = entries.at(-1)?.id ?? place
      }
      if (signal.reason instanceof Refusal) throw signal.reason
    } finally {
      clearInterval(check)
    }
  }

  /** True: the last of them was the verdict. */
  async #write(runId: string, entries: Entry[], out: Outgoing, signal: AbortSignal): Promise<boolean> {
    for (const some of together(entries)) {
      const events = some.map((entry) => completeEvent(runId, entry.id, stored(entry)))
      await out.write(events, () => some.forEach(release))
      if (some.at(-1)?.fields.has('last')) return true
      if (signal.aborted) return false
    }
    return false
  }

  /** Whether nothing can come after this place any more: the run has ended, and its last event is not behind it. */
  async #isOver(runId: string, place: string): Promise<boolean> {
    const state = await this.redis.hget(runKey(runId), 'state')
    if (state === null) throw notFound(runId)
    if (state !== 'ENDED') return false
    const [last] = await this.redis.xrevrange(eventsKey(runId), '+', '-', 'COUNT', 1)
    return last === undefined || !isAfter(last[0], place)
  }
}

const stored = ({ fields }: Entry): Buffer => fields.get('e') ?? Buffer.alloc(0)

/** What is small waits for what comes next. */
function* together(entries: Entry[]): Generator<Entry[]> {
  let some: Entry[] = []
  let bytes = 0
  for (const entry of entries) {
    some.push(entry)
    bytes += stored(entry).length
    if (bytes < leastTogether) continue
    yield some
    some = []
    bytes = 0
  }
  if (some.length > 0) yield some
}

export const notFound = (runId: string) => new Refusal('RUN_NOT_FOUND', `there is no run ${runId}, or it is no longer retained`)
