import type { caisson } from '../../proto/messages.js'
import type { AgentClient } from '../agent/client.js'
import type { GuestConsole } from './console.js'

/** What a run wants of its sandbox. */
export interface Need {
  layerKeys: string[]
  limits: caisson.v1.ILimits
}

/** Where sandboxes come from. */
export interface Sandboxes {
  take(need: Need, signal: AbortSignal): Promise<Sandbox>
  /** Why none can be made; undefined when they can, as far as is known. */
  readonly problem: string | undefined
  /** One could be made the last time that was tried. */
  untilHealthy(): Promise<void>
  close(): void
}

/** What is known of the walls, of which nothing is made up here: the launcher's word, the agent's Hello, the VMM's greeting. */
export interface Wall {
  backend: 'container' | 'microvm'
  observed: caisson.launch.v1.IWall
  /** Said before the agent knew of any client. */
  seccompDigest: Uint8Array | undefined
  vmm?: { name: string; version: string; accelerator: string }
}

/** The walls around one attempt, with the agent behind them. Used for one run, never again; `dispose` takes all of it away. */
export interface Sandbox extends Disposable {
  readonly agent: AgentClient
  /** Undefined until they stand. */
  readonly wall: Wall | undefined
  /** What the agent is still to be told before a program; undefined where it was. */
  readonly setup: caisson.agent.v1.ISetup | undefined
  /** Memory, processes and disk are counted inside, where the host does not see them: the agent reports them. */
  readonly countsInside: boolean
  /** Of a machine whose operator debugs it. */
  readonly console: GuestConsole | undefined
  /** What makes a run in it start sooner, and is worth doing with one that is to wait. It may be taken before that is done. */
  rehearse?(): Promise<void>
  /**
   * Gives it its root and limits, and starts its clocks. `record` puts down that the program may run from now on: called as late as that is
   * true, and done before this resolves. Then the agent may be given a program, which it executes once the root stands.
   */
  start(layerKeys: string[], limits: caisson.v1.ILimits, hostname: string, record: () => Promise<void>): Promise<void>
  /** Its root could not be made, so that nothing was executed; `lost` has rejected with the reason. */
  readonly refused: boolean
  /** Kills the payload. The first reason wins, the host's own included. */
  stop(reason: caisson.launch.v1.StopReason): void
  /** The payload was killed, and why; never settles otherwise. */
  readonly stopped: Promise<caisson.launch.v1.StopReason>
  /** Rejects when the walls, or what keeps them, are gone. */
  readonly lost: Promise<never>
  /** Kills whatever is left and asks for the account. */
  finish(): Promise<caisson.launch.v1.Finished>
}
