// One process of the service: started, watched, started again when it dies, and stopped in its turn.

import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Log, onLines } from './log.js'
import { Restarts } from './restarts.js'

export interface Program {
  /** "worker" … */
  name: string
  command: string
  args: readonly string[]
  env: Readonly<Record<string, string>>
  /** How it is known to serve: by a line "ready" on its stdout, or by asking; `signal` fires when it died meanwhile. */
  ready: 'line' | ((signal: AbortSignal) => Promise<void>)
}

interface Running {
  process: ChildProcess
  since: number
  /** Never rejects: "exit code 1", "SIGKILL" … */
  ended: Promise<string>
}

const readyMs = 120_000
const killAfterMs = 2000

export class Child {
  #running: Running | undefined
  #supervision: Promise<void> | undefined
  readonly #stopping = new AbortController()
  readonly #restarts = new Restarts()

  constructor(
    private readonly program: Program,
    private readonly log: Log,
  ) {}

  get name(): string {
    return this.program.name
  }

  get pid(): number | undefined {
    return this.#running?.process.pid
  }

  /** Resolves when it serves for the first time; a death before that is an error, not a reason to try again. */
  async start(): Promise<void> {
    await this.#spawn()
    this.#supervision = this.#keepAlive()
  }

  /** SIGTERM, and waits for the end however long it takes to drain; `hurry` asks again, and kills what still does not listen. */
  async stop(hurry: AbortSignal): Promise<void> {
    this.#stopping.abort()
    const running = this.#running
    if (!running) return
    running.process.kill('SIGTERM')
    const insist = () => void this.#insist(running)
    if (hurry.aborted) insist()
    else hurry.addEventListener('abort', insist, { once: true })
    await running.ended
    hurry.removeEventListener('abort', insist)
    await this.#supervision
  }

  async #insist({ process, ended }: Running): Promise<void> {
    process.kill('SIGTERM')
    await Promise.race([sleep(killAfterMs, undefined, { ref: false }), ended])
    process.kill('SIGKILL')
  }

  async #keepAlive(): Promise<void> {
    while (this.#running) {
      const how = await this.#running.ended
      const waitMs = this.#restarts.next(Date.now() - this.#running.since)
      if (this.#stopping.signal.aborted) return
      this.log.say(this.program.name, `ended (${how}); it is started again in ${waitMs} ms`)
      await this.#startAgain(waitMs)
    }
  }

  async #startAgain(firstWaitMs: number): Promise<void> {
    for (let waitMs = firstWaitMs; ; waitMs = this.#restarts.next(0)) {
      await sleep(waitMs, undefined, { signal: this.#stopping.signal }).catch(() => {})
      if (this.#stopping.signal.aborted) return
      try {
        await this.#spawn()
        return this.log.say(this.program.name, 'is ready again')
      } catch (error) {
        if (this.#stopping.signal.aborted) return
        this.log.say(this.program.name, String(error instanceof Error ? error.message : error))
      }
    }
  }

  /** Resolves when the process serves; on any other end of the matter nothing of it is left. */
  async #spawn(): Promise<void> {
    const { name, command, args, env, ready } = this.program
    // A session of its own: Ctrl-C in the terminal is for the supervisor, which stops its children in order.
    const process = spawn(command, args, { detached: true, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const running = { process, since: Date.now(), ended: endOf(process) }
    this.#running = running
    onLines(process.stderr, (line) => this.log.pass(name, line))
    const saidReady = new Promise<void>((resolve) =>
      onLines(process.stdout, (line) => (line === 'ready' ? resolve() : this.log.pass(name, line))),
    )
    const dead = new AbortController()
    const died = running.ended.then((how) => {
      dead.abort()
      throw new Error(`${name} ended before it was ready (${how})`)
    })
    const late = sleep(readyMs, undefined, { ref: false, signal: dead.signal }).then(
      () => Promise.reject(new Error(`${name} was not ready after ${readyMs / 1000} s`)),
      () => died,
    )
    try {
      await Promise.race([ready === 'line' ? saidReady : ready(dead.signal), died, late])
    } catch (error) {
      process.kill('SIGKILL')
      await running.ended
      throw error
    }
  }
}

function endOf(process: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    process.on('error', (error) => process.pid === undefined && resolve(error.message))
    process.on('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
}
