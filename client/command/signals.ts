// Signals that this process gets while a run goes on, passed to the program as a shell's child would get them.
//
// What a terminal sends to all of its foreground group goes to all of the program's: a shell would wait for its child before it heard of it.
// Before the program started there is nobody to signal: the run is cancelled. A second one that asks for an end (all but SIGUSR1 and
// SIGUSR2) cancels it too, for a program that ignores the first; a third ends this process at once.

import { constants } from 'node:os'
import type { Caisson } from '../sdk/caisson.js'
import type { RunEvent } from '../sdk/model.js'
import { exitOfSignal } from './exit.js'
import { note } from './output.js'

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const
type Forwarded = (typeof forwarded)[number]
const ofTerminal: Forwarded[] = ['SIGINT', 'SIGQUIT', 'SIGHUP']

export class SignalRelay {
  #runId: string | undefined
  #started = false
  #stops = 0
  #cancelled = false

  constructor(private readonly caisson: Caisson) {
    // Node keeps SIGUSR1 for its debugger unless somebody listens.
    for (const signal of forwarded) process.on(signal, this.#on)
  }

  see(event: RunEvent): void {
    this.#runId = event.runId
    if (event.type === 'state') this.#started = event.state === 'STARTING' || event.state === 'RUNNING'
    if (this.#stops > 0 && !this.#started) this.#cancel()
  }

  [Symbol.dispose](): void {
    for (const signal of forwarded) process.off(signal, this.#on)
  }

  readonly #on = (signal: Forwarded): void => {
    const stops = signal !== 'SIGUSR1' && signal !== 'SIGUSR2'
    if (stops && ++this.#stops > 2) this.#leave(signal)
    if (this.#runId === undefined) {
      if (this.#stops > 1) this.#leave(signal)
      return
    }
    if (this.#started && this.#stops < 2) this.#pass(this.#runId, signal)
    else if (stops) this.#cancel()
  }

  #pass(runId: string, signal: Forwarded): void {
    this.caisson
      .signal(runId, constants.signals[signal], { group: ofTerminal.includes(signal) })
      .catch((error: Error) => note(`${signal} was not passed on: ${error.message}`))
  }

  #cancel(): void {
    if (this.#cancelled || this.#runId === undefined) return
    this.#cancelled = true
    this.caisson.cancel(this.#runId).catch((error: Error) => note(`the run could not be cancelled: ${error.message}`))
  }

  #leave(signal: Forwarded): never {
    note(this.#runId === undefined ? 'left before the run was known' : `left run ${this.#runId} behind`)
    process.exit(exitOfSignal(constants.signals[signal]))
  }
}
