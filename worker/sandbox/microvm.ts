// The microVM: a machine booted for one run, in a jail of the launcher's, with the same agent in it as in a container.
import { randomBytes } from 'node:crypto'
import type { caisson } from '../../proto/messages.js'
import { AgentClient } from '../agent/client.js'
import type { Share } from '../capacity.js'
import { Deferred } from '../deferred.js'
import { within } from '../within.js'
import { type LauncherConnection, LauncherLost } from './launcher.js'
import { startOf } from './limits.js'
import { orLaunchersWord } from './qemu.js'
import type { Sandbox } from './sandbox.js'
import type { Accelerator, Booted, MachineSpec, Vmm } from './vmm.js'

const mib = 1 << 20
/** The guest's kernel and agent, which the program's limit does not count; and what the kernel keeps about each page. */
const guestBytes = 96 * mib
const bytesPerPageByte = 32
const memoryStep = 64 * mib
const answerMs = 15_000
const entropyBytes = 64
/** From the start of the VMM: the cold boot of a busy machine, emulated, takes many seconds. */
const bootMs = 60_000

/** What the machines of a worker have in common. */
export interface Hypervisor {
  vmm: Vmm
  accelerator: Accelerator
  tscKhz: number
  acpi: boolean
}

export class MicroVm implements Sandbox {
  /** Sent before the clocks start: mounting the disks is no part of the program's time. */
  readonly setup = undefined
  readonly countsInside = true
  /** What fails at its root fails its start. */
  readonly refused = false
  readonly #hypervisor: Hypervisor
  readonly #patienceMs: number
  readonly #stopped = new Deferred<caisson.launch.v1.StopReason>()
  readonly #lost = new Deferred<never>()
  readonly #gone = new AbortController()
  #booted: Booted | undefined
  #agent: AgentClient | undefined

  constructor(hypervisor: Hypervisor, patienceMs = bootMs) {
    this.#hypervisor = hypervisor
    this.#patienceMs = patienceMs
  }

  get agent(): AgentClient {
    if (!this.#agent) throw new Error('the machine has not started')
    return this.#agent
  }

  /** The record is told when the machine stands: a worker that is lost while it boots has started nothing. */
  async start(layerKeys: string[], limits: caisson.v1.ILimits, hostname: string, record: () => Promise<void>): Promise<void> {
    const keys = withoutRepeats(layerKeys)
    const spec = machineSpec(keys, limits, this.#hypervisor)
    const { diskBytes, memoryBytes, pids, cpuMillis } = startOf([], limits)
    const machine = { layers: keys.length, diskBytes, memoryBytes, pids, cpuMillis }
    const late = () => new LauncherLost(`the guest did not answer within ${this.#patienceMs} ms`)
    await within(this.#boot(spec), this.#patienceMs, late)
    const setup = { hostname, entropy: randomBytes(entropyBytes), unixUs: Date.now() * 1000, machine }
    await answered(orLaunchersWord(this.agent.setUp(setup), this.#launcher), 'Setup')
    await Promise.all([record(), answered(this.#launcher.ask({ start: startOf([], limits) }, 'started'), 'Start')])
  }

  stop(reason: caisson.launch.v1.StopReason): void {
    if (this.#booted) this.#launcher.send({ stop: { reason } })
    else this.#stopped.resolve(reason)
  }

  get stopped(): Promise<caisson.launch.v1.StopReason> {
    return this.#stopped.promise
  }

  get lost(): Promise<never> {
    return this.#lost.promise
  }

  finish(): Promise<caisson.launch.v1.Finished> {
    return answered(this.#launcher.ask({ finish: {} }, 'finished'), 'Finish')
  }

  [Symbol.dispose](): void {
    this.#gone.abort(new Error('the machine was disposed of'))
    this.#agent?.close()
    this.#booted?.[Symbol.dispose]()
  }

  get #launcher(): LauncherConnection {
    if (!this.#booted) throw new LauncherLost('the machine has not started')
    return this.#booted.launcher
  }

  async #boot(spec: MachineSpec): Promise<void> {
    const { vmm } = this.#hypervisor
    const booted = await vmm.boot(vmm.plan(spec), this.#gone.signal)
    this.#booted = booted
    if (this.#gone.signal.aborted) booted[Symbol.dispose]()
    void booted.launcher.stopped.then((reason) => this.#stopped.resolve(reason))
    booted.launcher.lost.catch((error) => this.#lost.reject(error))
    const agent = new AgentClient(await vmm.openChannel(booted, this.#gone.signal))
    this.#agent = agent
    // A VMM that dies while it boots: the launcher says more of it than the channel.
    await orLaunchersWord(agent.hello, booted.launcher)
  }
}

export function machineSpec(
  layerKeys: string[],
  limits: caisson.v1.ILimits,
  { accelerator, tscKhz, acpi }: Hypervisor,
): MachineSpec {
  const { memoryBytes, cpuMillis, diskBytes } = startOf([], limits)
  return {
    accelerator,
    tscKhz,
    acpi,
    layerKeys,
    cpus: Math.ceil(cpuMillis / 1000),
    memoryBytes: guestMemory(memoryBytes),
    diskBytes,
  }
}

/** In steps: memory that nobody touches costs nothing. */
export function guestMemory(memoryBytes: number): number {
  const needed = memoryBytes + guestBytes + memoryBytes / bytesPerPageByte
  return Math.ceil(needed / memoryStep) * memoryStep
}

/** A layer that comes twice shows as it does at its topmost place alone. */
function withoutRepeats(keys: string[]): string[] {
  return [...new Set(keys.toReversed())].reverse()
}

const answered = <T>(answer: Promise<T>, request: string): Promise<T> =>
  within(answer, answerMs, () => new LauncherLost(`no answer to ${request} within ${answerMs} ms`))

/** What a run takes of the host: also its guest's kernel, and its VMM. */
export function shareOfMachine(limits: caisson.v1.ILimits, hypervisor: Hypervisor): Share {
  const { memoryBytes } = hypervisor.vmm.plan(machineSpec([], limits, hypervisor))
  return { cpuMillis: limits.cpuMillis ?? 0, memoryBytes: memoryBytes ?? 0 }
}
