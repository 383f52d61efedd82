// What the client sends to one run, on its way to the program: input at the program's pace, signals and the wish to cancel at once.
import { setTimeout as delay } from 'node:timers/promises'
import type { Inbox, Message } from '../redis/inbox.js'
import type { ClaimedRun } from '../redis/take.js'
import type { Input } from './agent/input.js'
import type { AgentProcess } from './agent/process.js'
import { Deferred } from './deferred.js'

const retryMs = 500
/** A run without input can be cancelled and signalled this soon; most that are short are over by then, also on a busy machine, and cost no reading. */
const idleMs = 100

export interface InboxOwner {
  cancel(): void
  /** Another attempt has the run, or none. */
  fenced(): void
  /** The store refused a report; it is tried again. */
  refused(error: unknown): void
  /** The inbox cannot be read: the run cannot be fed or cancelled any more. */
  broken(error: unknown): void
}

interface Stdin {
  process: AgentProcess
  input: Input
}

export class RunInbox implements Disposable {
  readonly #inbox: Pick<Inbox, 'messages' | 'taken'>
  readonly #runId: string
  readonly #attempt: number
  readonly #owner: InboxOwner
  readonly #stop = new AbortController()
  readonly #begin: NodeJS.Timeout
  readonly #started = new Deferred<Stdin>()
  /** Data that waits for the program is bounded by what the inbox lets a client send ahead. */
  readonly #waiting: Message[] = []
  #isFeeding = false
  #takenBytes = 0
  #doneId: string | undefined
  #isReporting = false

  constructor(inbox: Pick<Inbox, 'messages' | 'taken'>, { runId, attempt, spec }: ClaimedRun, owner: InboxOwner) {
    this.#inbox = inbox
    this.#runId = runId
    this.#attempt = attempt
    this.#owner = owner
    this.#begin = setTimeout(() => void this.#read(), spec.stdinAttach ? 0 : idleMs)
  }

  /** The program runs; what came before waits for this. */
  attach(process: AgentProcess, input: Input): void {
    this.#started.resolve({ process, input })
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#begin)
    // With a reason: making up an exception is the dearest part of an abort.
    this.#stop.abort('disposed')
  }

  async #read(): Promise<void> {
    try {
      for await (const message of this.#inbox.messages(this.#runId, this.#stop.signal)) this.#take(message)
    } catch (error) {
      this.#owner.broken(error)
    }
  }

  #take(message: Message): void {
    if (message.kind === 'cancel') this.#owner.cancel()
    if (message.kind === 'signal') void this.#started.promise.then(({ process }) => process.signal(message.signal, message.group))
    // Also what is done at once takes its turn, for the inbox is trimmed in order.
    this.#waiting.push(message)
    if (!this.#isFeeding) void this.#feed()
  }

  async #feed(): Promise<void> {
    this.#isFeeding = true
    const { input } = await this.#started.promise
    for (let message = this.#waiting.shift(); message; message = this.#waiting.shift()) {
      if (message.kind === 'data') await this.#write(input, message.data)
      if (message.kind === 'end') input.end()
      this.#done(message.id)
    }
    this.#isFeeding = false
  }

  async #write(input: Input, data: Uint8Array): Promise<void> {
    await input.write(data)
    this.#takenBytes += data.length
  }

  #done(id: string): void {
    this.#doneId = id
    if (!this.#isReporting) void this.#report()
  }

  /** One report is under way at a time, and tells the latest. */
  async #report(): Promise<void> {
    this.#isReporting = true
    while (this.#doneId !== undefined && !this.#stop.signal.aborted) {
      const id = this.#doneId
      this.#doneId = undefined
      try {
        if (!(await this.#inbox.taken(this.#runId, this.#attempt, this.#takenBytes, id))) return this.#owner.fenced()
      } catch (error) {
        this.#doneId ??= id
        this.#owner.refused(error)
        await delay(retryMs)
      }
    }
    this.#isReporting = false
  }
}
