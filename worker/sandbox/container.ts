// The container: everything is the launcher's work, asked for over one connection that is the sandbox's life.
import { randomBytes } from 'node:crypto'
import type { caisson } from '../../proto/messages.js'
import { ChannelSocket } from '../agent/channel.js'
import { AgentClient } from '../agent/client.js'
import { Deferred } from '../deferred.js'
import { answered, LauncherConnection, LauncherFailed } from './launcher.js'
import { startOfContainer } from './limits.js'
import type { Pool } from './pool.js'
import type { Sandbox, Sandboxes, Wall } from './sandbox.js'

/** The default of limits.disk_bytes, so that most runs find their disk ready. */
const scratchBytes = 1 << 30

/** A sandbox with its agent waiting, which holds nothing of a run yet. */
export async function prepareContainer(launcherPath: string): Promise<Sandbox> {
  const launcher = await LauncherConnection.connect(launcherPath)
  try {
    const { channelPath, wall } = await answered(launcher.ask({ prepare: { diskBytes: scratchBytes } }, 'prepared'), 'Prepare')
    const agent = new AgentClient(new ChannelSocket(channelPath))
    await answered(agent.hello, 'Hello')
    return new Container(launcher, agent, { backend: 'container', observed: wall ?? {}, seccompDigest: agent.seccompDigest })
  } catch (error) {
    launcher[Symbol.dispose]()
    throw error
  }
}

/** One costs a few milliseconds, and no memory to speak of. */
export const readyContainers = {
  patienceMs: 20_000,
  reviewMs: 5_000,
  refillMs: { others: 20, empty: 0 },
  hasRoom: () => true,
}

/** One container is as good as another. */
export const containersOf = (pool: Pool<Sandbox>): Sandboxes => ({
  take: (_need, signal) => pool.take(signal),
  get problem() {
    return pool.problem
  },
  untilHealthy: () => pool.untilHealthy(),
  close: () => pool.close(),
})

class Container implements Sandbox {
  readonly #launcher: LauncherConnection
  readonly agent: AgentClient
  readonly countsInside = false
  readonly console = undefined
  readonly #lost = new Deferred<never>()
  #hostname = ''
  #started: Promise<unknown> | undefined
  refused = false

  constructor(
    launcher: LauncherConnection,
    agent: AgentClient,
    readonly wall: Wall,
  ) {
    this.#launcher = launcher
    this.agent = agent
    launcher.lost.catch((error) => {
      this.refused = error instanceof LauncherFailed && error.unanswered === 'started'
      this.#lost.reject(error)
    })
  }

  get setup(): caisson.agent.v1.ISetup {
    return { hostname: this.#hostname, entropy: randomBytes(32), unixUs: 0 }
  }

  /** Mount and record at once, for neither needs the other; and the agent waits for the mount by itself. */
  async start(layerKeys: string[], limits: caisson.v1.ILimits, hostname: string, record: () => Promise<void>): Promise<void> {
    this.#hostname = hostname
    this.#started = answered(this.#launcher.ask({ start: startOfContainer(layerKeys, limits) }, 'started'), 'Start')
    this.#started.catch((error) => this.#lost.reject(error))
    await record()
  }

  stop(reason: caisson.launch.v1.StopReason): void {
    this.#launcher.send({ stop: { reason } })
  }

  get stopped(): Promise<caisson.launch.v1.StopReason> {
    return this.#launcher.stopped
  }

  get lost(): Promise<never> {
    return this.#lost.promise
  }

  async finish(): Promise<caisson.launch.v1.Finished> {
    await this.#started
    return answered(this.#launcher.ask({ finish: {} }, 'finished'), 'Finish')
  }

  [Symbol.dispose](): void {
    this.agent.close()
    this.#launcher[Symbol.dispose]()
  }
}
