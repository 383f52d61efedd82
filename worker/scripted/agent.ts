// For tests: the agent's end of a channel, which does what a script says.
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { encodeFrame, FrameDecoder } from '../../proto/frame.js'
import { caisson } from '../../proto/messages.js'

const { AgentFrame, HostFrame, Stream } = caisson.agent.v1
type HostFrame = caisson.agent.v1.HostFrame

export type Script = (agent: ScriptedAgent, exec: caisson.agent.v1.IExec) => Promise<void>

export class ScriptedAgent {
  readonly signals: number[] = []
  readonly input: Buffer[] = []
  inputEnded = false
  killed = false
  #offsets: Record<number, number> = { [Stream.STDOUT]: 0, [Stream.STDERR]: 0 }
  #credit: Record<number, number> = {}
  #wake: () => void = () => {}

  constructor(
    private readonly socket: Socket,
    private readonly script: Script,
  ) {
    const decoder = new FrameDecoder()
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      for (const message of decoder.push(chunk)) this.#take(HostFrame.decode(message))
      this.#wake()
    })
    this.say({ hello: { protocol: 1, agentVersion: 'scripted' } })
  }

  say(frame: caisson.agent.v1.IAgentFrame): void {
    if (!this.socket.destroyed) this.socket.write(encodeFrame(AgentFrame, frame))
  }

  started(inputCreditBytes = 65_536): void {
    this.say({ started: { processId: 1, inputCreditBytes } })
  }

  /** Under credit, as the real one. */
  async output(data: Uint8Array, stream = Stream.STDOUT): Promise<void> {
    for (let at = 0; at < data.length && !this.socket.destroyed; ) {
      await this.until(() => (this.#credit[stream] ?? 0) > 0 || this.socket.destroyed)
      const part = data.subarray(at, at + Math.min(this.#credit[stream] ?? 0, 256 * 1024))
      const offset = this.#offsets[stream] ?? 0
      this.say({ output: { processId: 1, stream, offset, data: part } })
      this.#credit[stream] = (this.#credit[stream] ?? 0) - part.length
      this.#offsets[stream] = offset + part.length
      at += part.length
    }
  }

  exited(exitCode: number): void {
    this.say({ exited: { processId: 1, exitCode } })
  }

  signaled(signal: number): void {
    this.say({ exited: { processId: 1, signal } })
  }

  hangUp(): void {
    this.socket.destroy()
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await Promise.race([delay(100), new Promise<void>((resolve) => (this.#wake = resolve))])
    }
  }

  /** By the launcher. */
  kill(): void {
    this.killed = true
    this.#wake()
  }

  #take({ exec, credit, signal, input }: HostFrame): void {
    if (exec) {
      this.#credit = { [Stream.STDOUT]: exec.outputCreditBytes ?? 0, [Stream.STDERR]: exec.outputCreditBytes ?? 0 }
      void this.script(this, exec)
    }
    if (credit) this.#credit[credit.stream ?? 0] = (this.#credit[credit.stream ?? 0] ?? 0) + (credit.bytes ?? 0)
    if (signal) this.signals.push(signal.number ?? 0)
    if (!input) return
    this.input.push(Buffer.from(input.data ?? []))
    this.inputEnded ||= input.end ?? false
    if (input.data?.length) this.say({ inputCredit: { processId: 1, bytes: input.data.length } })
  }
}
