// Which layers must stay in the store, as the launcher is told: over one connection, for as long as this worker lives.
import { setTimeout as delay } from 'node:timers/promises'
import { LauncherConnection, LauncherLost } from '../../sandbox/launcher.js'
import { unlessAborted } from '../../within.js'

/** A launcher that died is started again within a second or so, and then knows of no holds. */
export const launcherMs = 20_000
const againMs = 100

/** Its layers stay until it is disposed of; that may happen more than once. */
export interface Hold extends Disposable {
  /** Keys that were not in the store when it began. */
  readonly missing: string[]
}

/**
 * So long what the launcher said of some keys is relied on: a hold outlives its last user until then, and the next run of the same image
 * asks nobody. Not for longer, however often it is used: a layer that was found broken is gone although it is held.
 */
const lingerMs = 1_000

interface Lingering {
  keys: string[]
  untilMs: number
  timer: NodeJS.Timeout
}

export class Holds {
  /** Keys of each hold that is in force. */
  readonly #held = new Set<string[]>()
  /** Those that nobody uses any more, by their keys. */
  readonly #lingering = new Map<string, Lingering>()
  #connection: LauncherConnection | undefined
  /** A connection takes one question at a time, and the first one of a new connection tells of all holds there are. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly launcherPath: string,
    private readonly patienceMs: number,
  ) {}

  /** For at most 4,096 keys. */
  async hold(keys: string[], signal: AbortSignal): Promise<Hold> {
    const lingering = this.#resume(keys)
    if (lingering) return lingering
    // One of its own: several holds may be for the same keys.
    const own = [...keys]
    const holding = this.#inTurn(async () => {
      const missing = own.length > 0 ? await this.#ask(own, signal) : []
      this.#held.add(own)
      return this.#use(own, missing, Date.now() + lingerMs)
    })
    return unlessAborted(holding, signal).catch((error) => {
      holding.then((late) => late[Symbol.dispose]()).catch(() => {})
      throw error
    })
  }

  /** What nobody uses any more is released before whatever is asked next. */
  endLingering(): void {
    for (const name of [...this.#lingering.keys()]) this.#endOne(name)
  }

  /** What was disposed of before is released. */
  async settled(): Promise<void> {
    this.endLingering()
    await this.#turn
  }

  #use(keys: string[], missing: string[], untilMs: number): Hold {
    let isUsed = true
    const dispose = () => {
      if (isUsed) this.#linger(keys, missing, untilMs)
      isUsed = false
    }
    return { missing, [Symbol.dispose]: dispose }
  }

  #linger(keys: string[], missing: string[], untilMs: number): void {
    const name = keys.join()
    const leftMs = untilMs - Date.now()
    if (missing.length > 0 || leftMs <= 0 || this.#lingering.has(name)) {
      this.#release(keys)
      return
    }
    const timer = setTimeout(() => this.#endOne(name), leftMs).unref()
    this.#lingering.set(name, { keys, untilMs, timer })
  }

  #resume(keys: string[]): Hold | undefined {
    const name = keys.join()
    const lingering = this.#lingering.get(name)
    if (!lingering) return undefined
    clearTimeout(lingering.timer)
    this.#lingering.delete(name)
    return this.#use(lingering.keys, [], lingering.untilMs)
  }

  #endOne(name: string): void {
    const lingering = this.#lingering.get(name)
    if (!lingering) return
    clearTimeout(lingering.timer)
    this.#lingering.delete(name)
    this.#release(lingering.keys)
  }

  #release(keys: string[]): void {
    const releasing = this.#inTurn(async () => {
      if (this.#held.delete(keys) && keys.length > 0) await this.#connection?.ask({ release: { keys } }, 'released')
    })
    // A connection that is lost holds nothing.
    releasing.catch(() => {})
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.then(
      () => {},
      () => {},
    )
    return result
  }

  async #ask(keys: string[], signal: AbortSignal): Promise<string[]> {
    for (const deadline = Date.now() + this.patienceMs; ; await delay(againMs)) {
      signal.throwIfAborted()
      try {
        const connection = await this.#connected()
        return (await connection.ask({ hold: { keys } }, 'held')).missing
      } catch (error) {
        if (!(error instanceof LauncherLost) || Date.now() > deadline) throw error
      }
    }
  }

  async #connected(): Promise<LauncherConnection> {
    if (this.#connection) return this.#connection
    const connection = await LauncherConnection.connect(this.launcherPath)
    connection.lost.catch(() => this.#lose(connection))
    for (const keys of this.#held) if (keys.length > 0) await connection.ask({ hold: { keys } }, 'held')
    this.#connection = connection
    return connection
  }

  /** What is held is told to the next launcher as soon as there is one. */
  #lose(connection: LauncherConnection): void {
    if (this.#connection !== connection) return
    this.#connection = undefined
    if (this.#held.size > 0) void this.#inTurn(() => this.#reconnect())
  }

  async #reconnect(): Promise<void> {
    for (const deadline = Date.now() + this.patienceMs; Date.now() < deadline; await delay(againMs, undefined, { ref: false })) {
      const connection = await this.#connected().catch(() => undefined)
      if (connection) return
    }
  }
}
