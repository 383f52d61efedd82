// One connection to the launcher: one sandbox, one conversion, or talk about the store (proto/launch.proto). Closing it disposes of all that
// was made for it.
import { connect, type Socket } from 'node:net'
import { encodeFrame, FrameDecoder } from '../../proto/frame.js'
import { caisson } from '../../proto/messages.js'
import { Deferred } from '../deferred.js'
import { within } from '../within.js'
import type { Wire } from './qmp.js'
import type { HandedFile } from './vmm.js'

const { Request, Event } = caisson.launch.v1
type Event = caisson.launch.v1.Event
type StopReason = caisson.launch.v1.StopReason

/** What may answer a request; `stopped` and `said` come by themselves, and `failed` is thrown. */
interface Answers {
  prepared: caisson.launch.v1.Prepared
  started: caisson.launch.v1.Started
  finished: caisson.launch.v1.Finished
  published: caisson.launch.v1.Published
  removed: caisson.launch.v1.Removed
  guestDescribed: caisson.launch.v1.GuestDescribed
  held: caisson.launch.v1.Held
  released: caisson.launch.v1.Released
  verified: caisson.launch.v1.Verified
  templateKept: caisson.launch.v1.TemplateKept
}

/** The launcher could not do a step; the connection is of no more use. */
export class LauncherFailed extends Error {
  override readonly name = 'LauncherFailed'
  constructor(
    readonly step: string,
    readonly errno: number,
    message: string,
    /** What was asked for. */
    readonly unanswered?: keyof Answers,
  ) {
    super(message)
  }
}

/** The connection ended without our asking: the launcher died, refused us, or sent what it may not. */
export class LauncherLost extends Error {
  override readonly name = 'LauncherLost'
}

/** A launcher that takes longer is not going to answer. */
const answerMs = 15_000

export const answered = <T>(answer: Promise<T>, request: string, ms = answerMs): Promise<T> =>
  within(answer, ms, () => new LauncherLost(`no answer to ${request} within ${ms} ms`))

interface Waiting {
  answer: keyof Answers
  settle: Deferred<object>
}

export class LauncherConnection implements Disposable, Wire {
  readonly #socket: Socket
  readonly #decoder = new FrameDecoder()
  readonly #stopped = new Deferred<StopReason>()
  readonly #lost = new Deferred<never>()
  #waiting: Waiting | undefined
  #listener: ((data: Buffer) => void) | undefined
  #error: Error | undefined
  #disposed = false

  static async connect(path: string): Promise<LauncherConnection> {
    const socket = connect({ path })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', (cause) => reject(new LauncherLost(`launcher at ${path}: ${cause.message}`, { cause })))
    })
    return new LauncherConnection(socket)
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', (cause) => this.#lose(() => new LauncherLost(`launcher: ${cause.message}`, { cause })))
    socket.on('close', () => this.#lose(() => new LauncherLost('the launcher closed the connection')))
  }

  /** Why the payload was killed. Never settles when it was not, or when the connection ends first. */
  get stopped(): Promise<StopReason> {
    return this.#stopped.promise
  }

  /** Rejects when the connection ends other than by `dispose`. */
  get lost(): Promise<never> {
    return this.#lost.promise
  }

  /** Sends a request that has no answer of its own. */
  send(request: caisson.launch.v1.IRequest): void {
    if (!this.#error && !this.#disposed) this.#socket.write(encodeFrame(Request, request))
  }

  /** To the VMM, with a descriptor that the launcher adds. */
  tell(data: Buffer, file: HandedFile): void {
    this.send({ tell: { data, ...file } })
  }

  /** Whatever the VMM says from here on. */
  hear(listener: (data: Buffer) => void): void {
    this.#listener = listener
  }

  /** Sends a request and waits for its answer. One at a time. */
  async ask<A extends keyof Answers>(request: caisson.launch.v1.IRequest, answer: A): Promise<Answers[A]> {
    if (this.#error) throw this.#error
    if (this.#disposed || this.#waiting) throw new Error(`launcher: ${answer} asked for out of turn`)
    const settle = new Deferred<object>()
    this.#waiting = { answer, settle }
    this.send(request)
    return (await settle.promise) as Answers[A]
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#socket.destroy()
    this.#waiting?.settle.reject(new LauncherLost('the connection was closed by its owner'))
  }

  #read(chunk: Buffer): void {
    try {
      for (const message of this.#decoder.push(chunk)) this.#take(Event.decode(message))
    } catch (cause) {
      this.#lose(() => new LauncherLost('launcher: broken frame', { cause }))
    }
  }

  #take(event: Event): void {
    if (event.stopped) this.#stopped.resolve(event.stopped.reason ?? caisson.launch.v1.StopReason.STOP_REASON_UNSPECIFIED)
    else if (event.said) this.#listener?.(Buffer.from(event.said.data ?? []))
    else if (event.failed) this.#fail(event.failed)
    else this.#settle(event)
  }

  #fail({ step, errno, message }: caisson.launch.v1.IFailed): void {
    const unanswered = this.#waiting?.answer
    this.#lose(() => new LauncherFailed(step ?? '', errno ?? 0, `launcher: ${message}`, unanswered))
  }

  #settle(event: Event): void {
    const waiting = this.#waiting
    const value = waiting && event[waiting.answer]
    if (value) {
      this.#waiting = undefined
      waiting.settle.resolve(value)
    } else {
      this.#lose(() => new LauncherLost(`launcher: ${event.event ?? 'unknown event'} out of turn`))
    }
  }

  #lose(cause: () => Error): void {
    if (this.#error || this.#disposed) return
    const error = cause()
    this.#error = error
    this.#waiting?.settle.reject(error)
    this.#lost.reject(error)
    this.#socket.destroy()
  }
}
