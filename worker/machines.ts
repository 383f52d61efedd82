// The microVM side of a worker: what it can boot, and the jobs that want it.
import type { Redis } from 'ioredis'
import type { QueueName } from '../proto/job.js'
import { caisson } from '../proto/messages.js'
import { Failure } from '../proto/reason.js'
import type { Config } from './config.js'
import type { Host } from './host.js'
import { Intake } from './queue.js'
import { findHypervisor, notYetKnown } from './sandbox/hypervisor.js'
import { type Hypervisor, MicroVm, shareOfMachine } from './sandbox/microvm.js'
import { Qemu } from './sandbox/qemu.js'
import type { Sandboxes } from './sandbox/sandbox.js'
import { within } from './within.js'

/** A launcher that died is started again within a second. */
const launcherMs = 20_000

type OpenRedis = (use: string, patience: 'patient') => Redis

export class Machines {
  readonly #host: Host
  readonly #config: Config
  readonly #launcherPath: string
  readonly #open: OpenRedis
  readonly #onChange: () => void
  #found = notYetKnown
  #intakes: Intake[] = []
  #isStopping = false

  /** `host` is that of the containers: capacity and all else but the walls is shared. `onChange`: the offer did. */
  constructor(host: Host, config: Config, launcherPath: string, open: OpenRedis, onChange: () => void) {
    this.#host = host
    this.#config = config
    this.#launcherPath = launcherPath
    this.#open = open
    this.#onChange = onChange
  }

  get offer(): caisson.v1.IBackendOffer {
    return this.#found.offer
  }

  /** Finds out what boots here, and then takes jobs until `drain`. */
  async serve(): Promise<void> {
    const vmm = new Qemu(this.#launcherPath)
    try {
      this.#found = await findHypervisor(vmm, this.#launcherPath, this.#config.allowEmulation)
    } catch (error) {
      this.#host.log.error('no guest could be booted', error)
      this.#found = { ...notYetKnown, offer: { ...notYetKnown.offer, unavailable: 'the launcher could not boot a guest' } }
    }
    this.#onChange()
    const { hypervisor, offer } = this.#found
    if (!hypervisor || this.#isStopping) return
    const host = hostOf(this.#host, hypervisor, offer)
    const queues: QueueName[] = offer.counts ? ['microvm', 'microvm-required'] : ['microvm-required']
    this.#intakes = queues.map((queue) => new Intake(host, queue, this.#open(queue, 'patient')))
    await Promise.all(this.#intakes.map((intake) => intake.serve()))
  }

  async drain(graceMs: number): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#intakes.map((intake) => intake.drain(graceMs)))
  }

  abandon(): void {
    for (const intake of this.#intakes) intake.abandon()
  }

  async close(): Promise<void> {
    await Promise.all(this.#intakes.map((intake) => intake.close()))
  }
}

function hostOf(host: Host, hypervisor: Hypervisor, { vmm, accelerator }: caisson.v1.IBackendOffer): Host {
  return {
    ...host,
    pool: bootedWhenTaken(hypervisor, host.pool),
    startsAtOnce: false,
    maxLowers: hypervisor.vmm.maxDisks,
    share: (limits) => shareOfMachine(limits, hypervisor),
    placement: { ...host.placement, backend: caisson.v1.Backend.BACKEND_MICROVM, vmm: vmm ?? '', accelerator: accelerator ?? '' },
  }
}

/**
 * A machine is booted with the run's own memory, processors and disks, so none is made before they are known. Whether the launcher can make
 * anything shows at the containers, which are.
 */
const bootedWhenTaken = (hypervisor: Hypervisor, containers: Sandboxes): Sandboxes => ({
  async take(signal) {
    const late = () => new Failure('SANDBOX_FAILED', `no sandbox: ${containers.problem ?? 'the launcher is too slow'}`)
    await within(containers.untilHealthy(), launcherMs, late)
    signal.throwIfAborted()
    return new MicroVm(hypervisor)
  },
  get problem() {
    return containers.problem
  },
  untilHealthy: () => containers.untilHealthy(),
  close: () => {},
})
