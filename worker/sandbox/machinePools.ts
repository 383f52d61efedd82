// Machines that wait: some with nothing, for any run of their shape, and some with the disks of an image in recent use, mounted.
import { type Hypervisor, type MicroVm, startMachine } from './microvm.js'
import { Pool, type PoolBounds } from './pool.js'
import type { Need, Sandboxes } from './sandbox.js'
import { disksOf, type Shape, shapeKey, shapeOf, specOf } from './shape.js'
import { bootMs, Templates } from './templates.js'
import type { Accelerator, Disks } from './vmm.js'

/**
 * What one that waits holds of the host's memory beside what all have in common: its cgroup is charged with 54 MiB when it has its image and has
 * rehearsed, emulated (41 without an image; 34 and 21 before the rehearsal; docs/microvm.md).
 */
const waitingBytes = 56 << 20
/** An image, or a shape, that nobody wanted for so long is not in use any more. */
const keepMs = 300_000
const reviewMs = 60_000
const noRoom = '--machine-memory-bytes has no room for the usual template: machines boot from the kernel'
/** Beside its run, a machine is made at the cost of that run, most of all where it is emulated. */
const refillMs: Record<Accelerator, number> = { kvm: 20, tcg: 250 }

export interface MachineBounds {
  /** Of one kind, at the most. */
  most: number
  /** Of one kind, are made at the same time. */
  parallel: number
  /** For templates, and machines that wait; 0: there are none. */
  memoryBytes: number
  /** What most runs ask for: one waits from the start. */
  usual: Shape
}

/** Machines that are as good as each other. */
interface Kind {
  shape: Shape
  pool: Pool<MicroVm>
  usedAt: number
}

export class MachinePools implements Sandboxes {
  readonly #hypervisor: Hypervisor
  readonly #bounds: MachineBounds
  readonly #templates: Templates
  readonly #onChange: (problem: Error | undefined) => void
  /** The one that was not used for longest comes first. */
  readonly #kinds = new Map<string, Kind>()
  readonly #usual: Pool<MicroVm>
  readonly #review = setInterval(() => this.#closeUnused(), reviewMs).unref()

  /** `onChange` hears when `problem` or `templateProblem` changes. */
  constructor(hypervisor: Hypervisor, bounds: MachineBounds, onChange: (problem: Error | undefined) => void) {
    this.#hypervisor = hypervisor
    this.#bounds = bounds
    this.#onChange = onChange
    this.#templates = new Templates(hypervisor, onChange)
    this.#usual = this.#bare(bounds.usual)
  }

  async take({ layerKeys, limits }: Need, signal: AbortSignal): Promise<MicroVm> {
    const disks = disksOf(layerKeys, limits)
    const shape = shapeOf(limits, disks.layerKeys.length)
    return this.#withDisks(shape, disks).takeReady() ?? this.#bare(shape).take(signal)
  }

  get problem(): string | undefined {
    return this.#usual.problem
  }

  /** Why machines are booted from the kernel, each time. */
  get templateProblem(): string | undefined {
    return this.#bounds.memoryBytes < this.#bounds.usual.memoryBytes ? noRoom : this.#templates.problem
  }

  get #mayWait(): boolean {
    return this.#bounds.memoryBytes >= waitingBytes
  }

  /** Where none may wait it shows only at the first run whether one can be made. */
  async untilHealthy(): Promise<void> {
    if (this.#mayWait) await this.#usual.untilHealthy()
  }

  close(): void {
    clearInterval(this.#review)
    for (const { pool } of this.#kinds.values()) pool.close()
    this.#templates.close()
  }

  #bare(shape: Shape): Pool<MicroVm> {
    return this.#kind(shapeKey(shape), shape, () => this.#start(shape))
  }

  #withDisks(shape: Shape, disks: Disks): Pool<MicroVm> {
    const key = [shapeKey(shape), disks.diskBytes, disks.diskBytesPerSecond ?? '', ...disks.layerKeys].join(' ')
    return this.#kind(key, shape, async () => {
      const machine = await this.#start(shape)
      try {
        await machine.mount(disks)
        return machine
      } catch (error) {
        machine[Symbol.dispose]()
        throw error
      }
    })
  }

  #kind(key: string, shape: Shape, prepare: () => Promise<MicroVm>): Pool<MicroVm> {
    const pool = this.#kinds.get(key)?.pool ?? new Pool(prepare, this.#boundsOf(key), this.#onChange)
    this.#kinds.delete(key)
    this.#kinds.set(key, { shape, pool, usedAt: Date.now() })
    return pool
  }

  #boundsOf(key: string): PoolBounds {
    const { most, parallel } = this.#bounds
    const pauseMs = refillMs[this.#hypervisor.accelerator]
    return {
      ...{ least: this.#isUsual(key) && this.#mayWait ? 1 : 0, most, parallel, reviewMs },
      // Until there is a template, and a machine that began from it.
      patienceMs: 2 * bootMs,
      refillMs: { others: pauseMs, empty: pauseMs },
      hasRoom: () => this.#makeRoom(waitingBytes, key),
    }
  }

  #isUsual(key: string): boolean {
    return key === shapeKey(this.#bounds.usual)
  }

  async #start(shape: Shape): Promise<MicroVm> {
    const mayHaveTemplate = this.#templates.has(shape) || this.#makeRoom(shape.memoryBytes, shapeKey(shape))
    const origin = mayHaveTemplate ? await this.#templates.of(shape) : ({ kind: 'kernel' } as const)
    return startMachine(this.#hypervisor.vmm, specOf(this.#hypervisor, shape, origin), bootMs)
  }

  /** Others that were not used for longer give way. */
  #makeRoom(bytes: number, key: string): boolean {
    for (const [other, { pool }] of this.#kinds) {
      if (other === key || this.#usedBytes + bytes <= this.#bounds.memoryBytes) break
      if (!pool.isWaitedFor && !this.#isUsual(other)) this.#close(other)
    }
    return this.#usedBytes + bytes <= this.#bounds.memoryBytes
  }

  get #usedBytes(): number {
    const waiting = [...this.#kinds.values()].reduce((sum, { pool }) => sum + pool.size, 0)
    return this.#templates.bytes + waiting * waitingBytes
  }

  #closeUnused(): void {
    for (const [key, { usedAt, pool }] of this.#kinds)
      if (!this.#isUsual(key) && !pool.isWaitedFor && Date.now() - usedAt > keepMs) this.#close(key)
  }

  /** With the template, when it was the last of its shape. */
  #close(key: string): void {
    const closed = this.#kinds.get(key)
    this.#kinds.delete(key)
    closed?.pool.close()
    const shapes = [...this.#kinds.values()].map(({ shape }) => shapeKey(shape))
    if (closed && !shapes.includes(shapeKey(closed.shape))) this.#templates.drop(shapeKey(closed.shape))
  }
}
