// For tests: a launcher whose sandboxes are scripts.
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { encodeFrame, FrameDecoder } from '../../proto/frame.js'
import { caisson } from '../../proto/messages.js'
import { Deferred } from '../deferred.js'
import { type Script, ScriptedAgent } from './agent.js'

const { Request, Event, StopReason } = caisson.launch.v1
type Request = caisson.launch.v1.Request

export class ScriptedLauncher {
  readonly path: string
  readonly open = new Set<Socket>()
  /** What Start asked for, of each run. */
  readonly starts: caisson.launch.v1.IStart[] = []
  /** Of every Finished. */
  account: caisson.launch.v1.IFinished = { wallUs: 1000 }
  failStart: caisson.launch.v1.IFailed | undefined
  failPrepare: caisson.launch.v1.IFailed | undefined
  #server: Server | undefined
  #count = 0

  constructor(
    private readonly folder: string,
    private readonly scripts: Record<string, Script>,
  ) {
    this.path = join(folder, 'launcher.sock')
  }

  async listen(): Promise<void> {
    const server = createServer((socket) => this.#serve(socket))
    this.#server = server
    await new Promise<void>((resolve) => server.listen(this.path, resolve))
  }

  /** As kill -9 would: all sandboxes go with it. */
  async die(): Promise<void> {
    for (const socket of this.open) socket.destroy()
    await new Promise((resolve) => this.#server?.close(resolve))
  }

  #serve(socket: Socket): void {
    this.open.add(socket)
    const decoder = new FrameDecoder()
    const sandbox = new ScriptedSandbox(this, socket, join(this.folder, `channel-${this.#count++}`), this.scripts)
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      for (const message of decoder.push(chunk)) sandbox.take(Request.decode(message))
    })
    socket.on('close', () => {
      this.open.delete(socket)
      sandbox.dispose()
    })
  }
}

class ScriptedSandbox {
  #channel: Server | undefined
  #agentSocket: Socket | undefined
  #agent: ScriptedAgent | undefined
  #reason: caisson.launch.v1.StopReason = 0
  readonly #rooted = new Deferred<void>()

  constructor(
    private readonly launcher: ScriptedLauncher,
    private readonly socket: Socket,
    private readonly path: string,
    private readonly scripts: Record<string, Script>,
  ) {}

  take({ prepare, start, stop, finish }: Request): void {
    if (prepare) this.#prepare()
    if (start) this.#start(start)
    if (stop) this.stop(stop.reason ?? 0)
    if (finish) this.#reply({ finished: { ...this.launcher.account, reason: this.#reason } })
  }

  stop(reason: caisson.launch.v1.StopReason): void {
    if (this.#reason) return
    this.#reason = reason
    this.#agent?.kill()
    this.#reply({ stopped: { reason } })
  }

  dispose(): void {
    this.#agentSocket?.destroy()
    this.#channel?.close()
  }

  #prepare(): void {
    const failed = this.launcher.failPrepare
    if (failed) this.#reply({ failed })
    else this.#listen()
  }

  #listen(): void {
    this.#channel = createServer((socket) => {
      this.#agentSocket = socket
      socket.on('close', () => this.stop(StopReason.AGENT_LOST))
      this.#agent = new ScriptedAgent(socket, (agent, exec) => this.#script(agent, exec))
    })
    this.#channel.listen(this.path, () => this.#reply({ prepared: { sandboxId: 's', channelPath: this.path } }))
  }

  #start(start: caisson.launch.v1.IStart): void {
    this.launcher.starts.push(start)
    const failed = this.launcher.failStart
    this.#reply(failed ? { failed } : { started: { tookUs: 1 } })
    if (!failed) this.#rooted.resolve()
  }

  async #script(agent: ScriptedAgent, exec: caisson.agent.v1.IExec): Promise<void> {
    await this.#rooted.promise
    const [name = ''] = exec.args ?? []
    if (name.startsWith('stop:')) return this.stop(Number(name.slice('stop:'.length)))
    await this.scripts[name]?.(agent, exec)
  }

  #reply(event: caisson.launch.v1.IEvent): void {
    if (!this.socket.destroyed) this.socket.write(encodeFrame(Event, event))
  }
}
