// The microVM side of a worker: what it can boot, and the jobs that want it.
import type { Redis } from 'ioredis'
import type { QueueName } from '../proto/job.js'
import { resolveLimits } from '../proto/limits.js'
import { caisson } from '../proto/messages.js'
import { type Config, cores } from './config.js'
import type { Host } from './host.js'
import { Intake } from './queue.js'
import { findHypervisor, notYetKnown } from './sandbox/hypervisor.js'
import { MachinePools } from './sandbox/machinePools.js'
import type { Hypervisor } from './sandbox/microvm.js'
import { Qemu } from './sandbox/qemu.js'
import { mostMemory, shapeOf, shareOfMachine } from './sandbox/shape.js'

type OpenRedis = (use: string) => Redis

export class Machines {
  readonly #host: Host
  readonly #config: Config
  readonly #launcherPath: string
  readonly #open: OpenRedis
  readonly #onChange: () => void
  #found = notYetKnown
  #pools: MachinePools | undefined
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
    return { ...this.#found.offer, limitation: this.#pools?.templateProblem ?? '' }
  }

  /** Finds out what boots here, and then takes jobs until `drain`. */
  async serve(): Promise<void> {
    const vmm = new Qemu(this.#launcherPath)
    try {
      this.#found = await findHypervisor(vmm, this.#launcherPath, this.#config, this.#host.log)
    } catch (error) {
      this.#host.log.error('no guest could be booted', error)
      this.#found = { ...notYetKnown, offer: { ...notYetKnown.offer, unavailable: 'the launcher could not boot a guest' } }
    }
    const { hypervisor, offer } = this.#found
    if (hypervisor) offer.memoryBytes = mostMemory(this.#host.capacity.total.memoryBytes, hypervisor)
    this.#onChange()
    if (!hypervisor || this.#isStopping) return
    this.#pools = this.#poolsOf(hypervisor)
    const host = hostOf(this.#host, this.#pools, hypervisor, offer)
    const queues: QueueName[] = offer.counts ? ['microvm', 'microvm-required'] : ['microvm-required']
    this.#intakes = queues.map((queue) => new Intake(host, queue, this.#open(queue), this.#open(`${queue}-handovers`)))
    await Promise.all(this.#intakes.map((intake) => intake.serve()))
  }

  async drain(graceMs: number): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#intakes.map((intake) => intake.drain(graceMs)))
  }

  #poolsOf(hypervisor: Hypervisor): MachinePools {
    const { pool, machineMemoryBytes } = this.#config
    const bounds = { most: pool, parallel: cores(), memoryBytes: machineMemoryBytes, usual: shapeOf(resolveLimits({}, {}), 0) }
    return new MachinePools(hypervisor, bounds, (problem) => {
      if (problem) {
        this.#host.log.error('no machine that waits, or no template, can be made', problem)
        for (const intake of this.#intakes) void intake.withdraw()
      } else this.#host.log.info('machines and templates can be made again')
      this.#onChange()
    })
  }

  abandon(): void {
    for (const intake of this.#intakes) intake.abandon()
  }

  async close(): Promise<void> {
    this.#pools?.close()
    await Promise.all(this.#intakes.map((intake) => intake.close()))
  }
}

function hostOf(host: Host, pool: MachinePools, hypervisor: Hypervisor, { vmm, accelerator }: caisson.v1.IBackendOffer): Host {
  return {
    ...host,
    pool,
    startsAtOnce: false,
    maxLowers: hypervisor.vmm.maxDisks,
    share: (limits) => shareOfMachine(limits, hypervisor),
    placement: { ...host.placement, backend: caisson.v1.Backend.BACKEND_MICROVM, vmm: vmm ?? '', accelerator: accelerator ?? '' },
  }
}
