import type { caisson } from '../../proto/messages.js'
import type { AgentClient } from '../agent/client.js'

/** The walls around one attempt, with the agent behind them. Used for one run, never again; `dispose` takes all of it away. */
export interface Sandbox extends Disposable {
  readonly agent: AgentClient
  /** Gives it its root and limits, and starts its clocks. */
  start(layerKeys: string[], limits: caisson.v1.ILimits): Promise<void>
  /** Kills the payload. The first reason wins, the host's own included. */
  stop(reason: caisson.launch.v1.StopReason): void
  /** The payload was killed, and why; never settles otherwise. */
  readonly stopped: Promise<caisson.launch.v1.StopReason>
  /** Rejects when the walls, or what keeps them, are gone. */
  readonly lost: Promise<never>
  /** Kills whatever is left and asks for the account. */
  finish(): Promise<caisson.launch.v1.Finished>
}
