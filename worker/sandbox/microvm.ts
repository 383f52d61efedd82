// The microVM: a machine for one run, in a jail of the launcher's, with the same agent in it as in a container.
import { randomBytes } from 'node:crypto'
import type { caisson } from '../../proto/messages.js'
import { AgentClient } from '../agent/client.js'
import { Patience, unlessAborted } from '../within.js'
import type { GuestConsole } from './console.js'
import { answered, LauncherLost } from './launcher.js'
import { startOf } from './limits.js'
import { orLaunchersWord } from './qemu.js'
import type { Sandbox, Wall } from './sandbox.js'
import { disksOf } from './shape.js'
import type { Accelerator, Booted, Disks, MachineSpec, Vmm } from './vmm.js'

/** Mounting many layers takes an emulated guest some seconds. */
const mountMs = 30_000
const entropyBytes = 64
/** Emulated, beside runs. */
const rehearseMs = 30_000
/** Enough for a program of the agent's own. */
const rehearsal = { memoryBytes: 16 << 20, pids: 8 }

/** What the machines of a worker have in common. */
export interface Hypervisor {
  vmm: Vmm
  accelerator: Accelerator
  tscKhz: number
  acpi: boolean
  console: boolean
}

/** Resolves when its agent waits. */
export async function startMachine(vmm: Vmm, spec: MachineSpec, patienceMs: number): Promise<MicroVm> {
  const late = new LauncherLost(`the guest did not answer within ${patienceMs} ms`)
  using patience = new Patience(patienceMs, late)
  const booted = await vmm.boot(vmm.plan(spec), patience.signal)
  let agent: AgentClient | undefined
  try {
    agent = new AgentClient(await vmm.openChannel(booted, patience.signal))
    // A VMM that dies while it boots: the launcher says more of it than the channel.
    await unlessAborted(orLaunchersWord(agent.hello, booted.launcher), patience.signal)
    const { wall: observed, version } = booted
    const { seccompDigest } = agent
    const own = { name: vmm.name, version, accelerator: spec.accelerator }
    return new MicroVm(booted, agent, { backend: 'microvm', observed, seccompDigest, vmm: own })
  } catch (error) {
    await booted.console?.explain(error)
    agent?.close()
    booted[Symbol.dispose]()
    throw error
  }
}

export class MicroVm implements Sandbox {
  /** Sent before the clocks start: mounting the disks is no part of the program's time. */
  readonly setup = undefined
  readonly countsInside = true
  /** What fails at its root fails its start. */
  readonly refused = false
  readonly agent: AgentClient
  readonly #booted: Booted
  readonly #gone = new AbortController()
  #hasDisks = false

  constructor(
    booted: Booted,
    agent: AgentClient,
    readonly wall: Wall,
  ) {
    this.#booted = booted
    this.agent = agent
  }

  /** Once; `start` does it for a machine that has none. */
  async mount(disks: Disks): Promise<void> {
    this.#hasDisks = true
    try {
      await answered(this.#booted.attach(disks, this.#gone.signal), 'its disks', mountMs)
      const mounted = this.agent.mount({ layers: disks.layerKeys.length, diskBytes: disks.diskBytes })
      await answered(orLaunchersWord(mounted, this.#booted.launcher), 'Mount', mountMs)
    } catch (error) {
      await this.console?.explain(error)
      throw error
    }
  }

  /** While it waits: what its agent will do for a run is then translated, and in memory. A run that comes meanwhile waits for the end of it. */
  async rehearse(): Promise<void> {
    const rehearsed = this.agent.rehearse(this.#setup('rehearsal', rehearsal))
    await answered(orLaunchersWord(rehearsed, this.#booted.launcher), 'Rehearse', rehearseMs)
  }

  #setup(hostname: string, machine: caisson.agent.v1.IMachine): caisson.agent.v1.ISetup {
    return { hostname, entropy: randomBytes(entropyBytes), unixUs: Date.now() * 1000, machine }
  }

  /** The record is told when the machine stands: a worker that is lost while it mounts has started nothing. */
  async start(layerKeys: string[], limits: caisson.v1.ILimits, hostname: string, record: () => Promise<void>): Promise<void> {
    const { memoryBytes, pids } = startOf([], limits)
    if (!this.#hasDisks) await this.mount(disksOf(layerKeys, limits))
    const setUp = this.agent.setUp(this.#setup(hostname, { memoryBytes, pids }))
    await answered(orLaunchersWord(setUp, this.#booted.launcher), 'Setup')
    await Promise.all([record(), answered(this.#booted.launcher.ask({ start: startOf([], limits) }, 'started'), 'Start')])
  }

  stop(reason: caisson.launch.v1.StopReason): void {
    this.#booted.launcher.send({ stop: { reason } })
  }

  get stopped(): Promise<caisson.launch.v1.StopReason> {
    return this.#booted.launcher.stopped
  }

  get console(): GuestConsole | undefined {
    return this.#booted.console
  }

  get lost(): Promise<never> {
    return this.#booted.launcher.lost
  }

  finish(): Promise<caisson.launch.v1.Finished> {
    return answered(this.#booted.launcher.ask({ finish: {} }, 'finished'), 'Finish')
  }

  [Symbol.dispose](): void {
    this.#gone.abort(new LauncherLost('the machine was disposed of'))
    this.agent.close()
    this.#booted[Symbol.dispose]()
  }
}
