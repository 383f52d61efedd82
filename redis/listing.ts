// Runs, newest first, page by page. Ids sort by time, so a page goes on after the last id of the one before, whatever happened between.
import type { Redis } from 'ioredis'
import { runKey, runsKey, stateKey } from '../proto/keys.js'
import type { caisson } from '../proto/messages.js'
import { type StateName, stateNumber } from '../proto/state.js'
import { decodeRecord } from './record.js'

export interface Filter {
  /** Any of these; none: all. */
  states: StateName[]
  /** All of these. */
  labels: Record<string, string>
  pageSize: number
  /** Empty: from the newest. */
  before: string
}

export interface Page {
  runs: caisson.v1.Run[]
  /** Where the next page begins; empty: there is none. */
  next: string
}

const batch = 100
/** Of records that do not match: then the page ends early, so that one call never reads everything. */
const mostRead = 10_000
/** A client takes messages of 4 MiB unless told otherwise. */
const mostBytes = 2 << 20

export class Listing {
  constructor(private readonly redis: Redis) {}

  async page({ states, labels, pageSize, before }: Filter): Promise<Page> {
    const page: Page = { runs: [], next: '' }
    let bytes = 0
    let last = before
    for (let read = 0; read < mostRead; read += batch) {
      const ids = await this.#ids(states, last)
      if (ids.length === 0) return page
      for (const [i, run] of (await this.#records(ids)).entries()) {
        last = ids[i] ?? last
        if (!run || !matches(run.run, states, labels)) continue
        if (page.runs.length > 0 && bytes + run.bytes > mostBytes) return page
        page.runs.push(run.run)
        bytes += run.bytes
        page.next = last
        if (page.runs.length === pageSize) return page
      }
    }
    return { ...page, next: last }
  }

  async #ids(states: StateName[], before: string): Promise<string[]> {
    const keys = states.length === 0 ? [runsKey] : states.map(stateKey)
    const from = before === '' ? '+' : `(${before}`
    const found = await Promise.all(keys.map((key) => this.redis.zrange(key, from, '-', 'BYLEX', 'REV', 'LIMIT', 0, batch)))
    // A run may have moved from one state to another between the reads.
    return [...new Set(found.flat())].sort((a, b) => (a < b ? 1 : -1)).slice(0, batch)
  }

  #records(ids: string[]) {
    return Promise.all(
      ids.map(async (id) => {
        const fields = await this.redis.hgetallBuffer(runKey(id))
        const run = decodeRecord(id, fields)
        // A receipt is asked for by itself.
        const { receipt: _, ...listed } = fields
        const bytes = Object.values(listed).reduce((sum, value) => sum + value.length, 0)
        return run && { run, bytes }
      }),
    )
  }
}

function matches(run: caisson.v1.Run, states: StateName[], labels: Record<string, string>): boolean {
  const held = run.spec?.labels ?? {}
  const labelled = Object.entries(labels).every(([name, value]) => Object.hasOwn(held, name) && held[name] === value)
  return labelled && (states.length === 0 || states.some((state) => stateNumber(state) === run.state))
}
