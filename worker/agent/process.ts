// The worker's view of one process in a sandbox: what the agent may say about it, in which order, and how much (proto/agent.proto).
import { caisson } from '../../proto/messages.js'
import { Deferred } from '../deferred.js'
import { Credit } from './credit.js'
import { Input } from './input.js'
import { maxChunkBytes, ProtocolViolation } from './violation.js'

const { Stream } = caisson.agent.v1
type AgentFrame = caisson.agent.v1.AgentFrame
type Stream = caisson.agent.v1.Stream

type Counters = caisson.agent.v1.ICounters

/** How the process ended, as the agent says. */
export type Report =
  | { kind: 'exited'; exitCode: number; counters?: Counters }
  | { kind: 'signaled'; signal: number; coreDumped: boolean; counters?: Counters }
  | { kind: 'failed'; step: caisson.agent.v1.Failed.Step; errno: number; message: string }

export interface Listener {
  /** The program's execve succeeded; its stdin is open. */
  started(input: Input): void
  /** Whoever takes `data` gives its credit back, by `credit`. */
  output(stream: Stream, offset: number, data: Uint8Array): void
}

export type Send = (frame: caisson.agent.v1.IHostFrame) => void

export class AgentProcess {
  readonly #id: number
  readonly #send: Send
  readonly #listener: Listener
  readonly #ended = new Deferred<Report>()
  readonly #output: Record<number, { credit: Credit; offset: number }>
  #input: Input | undefined
  #inputClosed = false
  #over = false

  constructor(id: number, outputCredit: number, listener: Listener, send: Send) {
    this.#id = id
    this.#send = send
    this.#listener = listener
    this.#output = {
      [Stream.STDOUT]: { credit: new Credit(outputCredit), offset: 0 },
      [Stream.STDERR]: { credit: new Credit(outputCredit), offset: 0 },
    }
  }

  /** Settles after the last byte of output was delivered; rejects when the channel broke before. */
  get ended(): Promise<Report> {
    return this.#ended.promise
  }

  credit(stream: Stream, bytes: number): void {
    if (this.#over || !this.#output[stream]?.credit.grant(bytes)) return
    this.#send({ credit: { processId: this.#id, stream, bytes } })
  }

  /** `group`: to all of its process group. */
  signal(number: number, group: boolean): void {
    if (!this.#over) this.#send({ signal: { processId: this.#id, number, group } })
  }

  /** A frame that names this process. */
  take(frame: AgentFrame): void {
    if (this.#over) throw new ProtocolViolation(`${frame.frame} after the end of the process`)
    if (frame.started) this.#takeStarted(frame.started)
    else if (frame.output) this.#takeOutput(frame.output)
    else if (frame.inputCredit) this.#takeInputCredit(frame.inputCredit)
    else if (frame.exited) this.#takeExited(frame.exited)
    else if (frame.failed) this.#takeFailed(frame.failed)
  }

  /** The channel is of no more use. */
  break(error: Error): void {
    this.#over = true
    this.#input?.close()
    this.#ended.reject(error)
  }

  #takeStarted({ inputCreditBytes }: caisson.agent.v1.IStarted): void {
    if (this.#input) throw new ProtocolViolation('Started twice')
    this.#input = new Input(inputCreditBytes ?? 0, (input) => this.#send({ input: { processId: this.#id, ...input } }))
    this.#listener.started(this.#input)
  }

  #takeOutput({ stream, offset, data }: caisson.agent.v1.IOutput): void {
    this.#startedInput('Output')
    const from = this.#output[stream ?? Stream.STREAM_UNSPECIFIED]
    if (!stream || !from || !data?.length) throw new ProtocolViolation('Output without stream or data')
    if (data.length > maxChunkBytes) throw new ProtocolViolation(`Output of ${data.length} bytes, at most ${maxChunkBytes}`)
    if (offset !== from.offset) throw new ProtocolViolation(`Output at ${offset}, expected ${from.offset}`)
    if (!from.credit.spend(data.length)) throw new ProtocolViolation('Output over its credit')
    from.offset += data.length
    this.#listener.output(stream, offset, data)
  }

  #takeInputCredit({ bytes, closed }: caisson.agent.v1.IInputCredit): void {
    const input = this.#startedInput('InputCredit')
    // One that says nothing new would be free to send without end.
    if (!bytes && (!closed || this.#inputClosed)) throw new ProtocolViolation('InputCredit of nothing')
    if (!input.taken(bytes ?? 0)) throw new ProtocolViolation('InputCredit for more than was sent')
    if (!closed) return
    this.#inputClosed = true
    input.close()
  }

  #takeExited({ exitCode, signal, coreDumped, counters }: caisson.agent.v1.IExited): void {
    this.#startedInput('Exited')
    if (isWithin(exitCode, 0, 255)) this.#end({ kind: 'exited', exitCode, ...(counters && { counters }) })
    else if (isWithin(signal, 1, 64))
      this.#end({ kind: 'signaled', signal, coreDumped: coreDumped ?? false, ...(counters && { counters }) })
    else throw new ProtocolViolation('Exited without a code or signal')
  }

  #takeFailed({ step, errno, message }: caisson.agent.v1.IFailed): void {
    if (this.#input) throw new ProtocolViolation('Failed after Started')
    this.#end({ kind: 'failed', step: step ?? 0, errno: errno ?? 0, message: (message ?? '').slice(0, 1024) })
  }

  #end(report: Report): void {
    this.#over = true
    this.#input?.close()
    this.#ended.resolve(report)
  }

  #startedInput(name: string): Input {
    if (!this.#input) throw new ProtocolViolation(`${name} before Started`)
    return this.#input
  }
}

const isWithin = (value: number | null | undefined, low: number, high: number): value is number =>
  typeof value === 'number' && value >= low && value <= high
