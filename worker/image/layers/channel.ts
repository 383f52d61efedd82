// The worker's end of a converter's channel: the blob goes in, one ConvertResult comes back, perhaps before all of the blob is in.
import { connect, type Socket } from 'node:net'
import { FrameDecoder } from '../../../proto/frame.js'
import { caisson } from '../../../proto/messages.js'
import { Failure } from '../../../proto/reason.js'
import { Deferred } from '../../deferred.js'

const { ConvertResult } = caisson.launch.v1
type ConvertResult = caisson.launch.v1.ConvertResult

/** Without any byte taken or given for so long, a converter is held to be stuck. */
const stallMs = 10 * 60_000

/** Ours, whatever the layer did to it: what is wrong with a layer is told in words. */
export class ConverterLost extends Failure {
  constructor(how: string, cause?: unknown) {
    super('INTERNAL', `the converter ${how}`, { cause })
  }
}

export class ConverterChannel implements Disposable {
  readonly #socket: Socket
  readonly #decoder = new FrameDecoder()
  readonly #result = new Deferred<ConvertResult>()
  #answered = false

  constructor(path: string) {
    this.#socket = connect({ path, allowHalfOpen: true })
    this.#socket.setTimeout(stallMs, () => this.#lose('did nothing for too long'))
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.#socket.on('error', (cause) => this.#lose(`broke off: ${cause.message}`, cause))
    this.#socket.on('close', () => this.#lose('ended without a result'))
    this.#socket.on('end', () => this.#lose('ended without a result'))
  }

  /** Also rejects when the converter ends, or stalls, without one. */
  get result(): Promise<ConvertResult> {
    return this.#result.promise
  }

  /** Resolves once the next chunk may come. False: there is a result already, and nothing more is wanted. */
  async send(chunk: Buffer): Promise<boolean> {
    if (this.#answered) return false
    if (this.#socket.write(chunk)) return true
    const drained = new Deferred<void>()
    const settle = () => drained.resolve()
    this.#socket.once('drain', settle)
    await Promise.race([drained.promise, this.#result.promise])
    this.#socket.off('drain', settle)
    return !this.#answered
  }

  end(): void {
    this.#socket.end()
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    try {
      for (const message of this.#decoder.push(chunk)) this.#answer(ConvertResult.decode(message))
    } catch (cause) {
      this.#lose('sent a broken frame', cause)
    }
  }

  #answer(result: ConvertResult): void {
    this.#answered = true
    this.#result.resolve(result)
  }

  #lose(how: string, cause?: unknown): void {
    this.#result.reject(new ConverterLost(how, cause))
    this.#socket.destroy()
  }
}
