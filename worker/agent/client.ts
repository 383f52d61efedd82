// The worker's end of a channel. The agent is not trusted: a frame out of order, over credit or too long ends the sandbox.
import type { Duplex } from 'node:stream'
import { encodeFrame, FrameDecoder } from '../../proto/frame.js'
import { caisson } from '../../proto/messages.js'
import { Deferred } from '../deferred.js'
import { oneRoom } from './channel.js'
import { AgentProcess, type Listener } from './process.js'
import { ProtocolViolation } from './violation.js'

const { HostFrame, AgentFrame } = caisson.agent.v1
type AgentFrame = caisson.agent.v1.AgentFrame

export const agentProtocol = 1
const digestBytes = 32

/** The agent is gone, or its channel is. */
export class ChannelClosed extends Error {
  override readonly name = 'ChannelClosed'
}

/** Made once: a stack for each sandbox that ends well would be a waste. */
const closedByOwner = new ChannelClosed('the channel was closed by its owner')

type ExecRequest = Omit<caisson.agent.v1.IExec, 'processId' | 'outputCreditBytes'>

export class AgentClient {
  readonly #channel: Duplex
  readonly #decoder = new FrameDecoder(oneRoom())
  readonly #hello = new Deferred<void>()
  /** That are waited for, one after the other. */
  readonly #ready: Deferred<void>[] = []
  readonly #broken = new Deferred<never>()
  readonly #processes = new Map<number, AgentProcess>()
  #greeted = false
  #seccompDigest: Uint8Array | undefined
  #error: Error | undefined

  constructor(channel: Duplex) {
    this.#channel = channel
    channel.on('data', (chunk: Buffer) => this.#read(chunk))
    channel.on('error', (cause: Error) => this.#break(() => new ChannelClosed(`channel: ${cause.message}`, { cause })))
    channel.on('close', () => this.#break(() => new ChannelClosed('the agent closed its channel')))
    channel.resume()
  }

  /** The agent is there and speaks our protocol. */
  get hello(): Promise<void> {
    return this.#hello.promise
  }

  /** From its Hello; undefined where it said none. */
  get seccompDigest(): Uint8Array | undefined {
    return this.#seccompDigest
  }

  /** Rejects as soon as the channel is of no more use. */
  get broken(): Promise<never> {
    return this.#broken.promise
  }

  /** Of a machine: resolves when its root is mounted, or could not be: then no program starts. */
  mount(mount: caisson.agent.v1.IMount): Promise<void> {
    return this.#untilReady({ mount })
  }

  /** Of a machine, when it has its root. */
  setUp(setup: caisson.agent.v1.ISetup): Promise<void> {
    return this.#untilReady({ setup })
  }

  /** Of a machine that waits: resolves when it has tried out what it will do for a run. */
  rehearse(setup: caisson.agent.v1.ISetup): Promise<void> {
    return this.#untilReady({ rehearse: { setup } })
  }

  #untilReady(frame: caisson.agent.v1.IHostFrame): Promise<void> {
    const ready = new Deferred<void>()
    this.#ready.push(ready)
    this.#send(frame)
    return Promise.race([ready.promise, this.#broken.promise])
  }

  /** Both in one write; no setup where it was sent before. */
  start(
    setup: caisson.agent.v1.ISetup | undefined,
    request: ExecRequest,
    outputCredit: number,
    listener: Listener,
  ): AgentProcess {
    this.#channel.cork()
    if (setup) this.#send({ setup })
    const process = this.#exec(request, outputCredit, listener)
    this.#channel.uncork()
    return process
  }

  #exec(request: ExecRequest, outputCredit: number, listener: Listener): AgentProcess {
    const processId = this.#processes.size + 1
    const process = new AgentProcess(processId, outputCredit, listener, (frame) => this.#send(frame))
    this.#processes.set(processId, process)
    this.#send({ exec: { ...request, processId, outputCreditBytes: outputCredit } })
    if (this.#error) process.break(this.#error)
    return process
  }

  /** Not a failure: the owner is done with it. */
  close(): void {
    this.#error ??= closedByOwner
    this.#channel.destroy()
  }

  #send(frame: caisson.agent.v1.IHostFrame): void {
    if (!this.#error) this.#channel.write(encodeFrame(HostFrame, frame))
  }

  #read(chunk: Buffer): void {
    try {
      for (const message of this.#decoder.push(chunk)) {
        if (this.#error) return
        const frame = AgentFrame.decode(message)
        if (this.#greeted) this.#take(frame)
        else this.#greet(frame)
      }
    } catch (error) {
      this.#break(() => (error instanceof ProtocolViolation ? error : new ProtocolViolation('broken frame', { cause: error })))
    }
  }

  #take(frame: AgentFrame): void {
    if (frame.ready) {
      this.#takeReady()
      return
    }
    const named = frame.started ?? frame.output ?? frame.inputCredit ?? frame.exited ?? frame.failed
    const process = named && this.#processes.get(named.processId ?? 0)
    if (!process) throw new ProtocolViolation(`${frame.frame ?? 'unknown frame'} for no process of ours`)
    process.take(frame)
  }

  #takeReady(): void {
    const ready = this.#ready.shift()
    if (!ready) throw new ProtocolViolation('Ready unasked')
    ready.resolve()
  }

  #greet(frame: AgentFrame): void {
    if (!frame.hello) throw new ProtocolViolation(`${frame.frame ?? 'unknown frame'} before Hello`)
    const { protocol, seccompDigest } = frame.hello
    if (protocol !== agentProtocol) throw new ProtocolViolation(`agent protocol ${protocol}, expected ${agentProtocol}`)
    // A copy: the frame is gone with the channel's next read.
    if (seccompDigest?.length === digestBytes) this.#seccompDigest = Buffer.from(seccompDigest)
    this.#greeted = true
    this.#hello.resolve()
  }

  #break(cause: () => Error): void {
    if (this.#error) return
    const error = cause()
    this.#error = error
    this.#channel.destroy()
    this.#hello.reject(error)
    this.#broken.reject(error)
    for (const process of this.#processes.values()) process.break(error)
  }
}
