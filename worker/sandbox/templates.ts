// Machines that were booted once, and saved where their agent waits. The launcher keeps one for as long as we keep the connection, and not
// longer than it lives itself: kernel, initramfs and VMM are those that it took at its start, so a key needs only what differs.
import { Failure } from '../../proto/reason.js'
import { Patience, unlessAborted } from '../within.js'
import { LauncherLost } from './launcher.js'
import type { Hypervisor } from './microvm.js'
import { type Shape, shapeKey, specOf } from './shape.js'
import type { Booted, MachineSpec } from './vmm.js'

/** The cold boot of a busy machine, emulated, takes many seconds. */
export const bootMs = 60_000
/** After one could not be made. */
const retryMs = 60_000

interface Entry {
  origin: Promise<MachineSpec['origin']>
  bytes: number
  booted: Booted | undefined
}

const coldBoot: MachineSpec['origin'] = { kind: 'kernel' }

export class Templates {
  readonly #hypervisor: Hypervisor
  readonly #onChange: (problem: Error | undefined) => void
  readonly #entries = new Map<string, Entry>()
  readonly #gone = new AbortController()
  #problem: string | undefined

  /** `onChange` hears when `problem` appears, changes or goes. */
  constructor(hypervisor: Hypervisor, onChange: (problem: Error | undefined) => void) {
    this.#hypervisor = hypervisor
    this.#onChange = onChange
  }

  /** Why machines are booted from the kernel, which takes longer; undefined when they are not. */
  get problem(): string | undefined {
    return this.#problem
  }

  get bytes(): number {
    return [...this.#entries.values()].reduce((sum, { bytes }) => sum + bytes, 0)
  }

  has(shape: Shape): boolean {
    return this.#entries.has(shapeKey(shape))
  }

  /** What a machine of this shape begins with: without a template it is the kernel. Rejects when the launcher is away. */
  of(shape: Shape): Promise<MachineSpec['origin']> {
    const key = shapeKey(shape)
    const known = this.#entries.get(key)
    if (known) return known.origin
    const entry: Entry = { origin: Promise.resolve(coldBoot), bytes: shape.memoryBytes, booted: undefined }
    this.#entries.set(key, entry)
    entry.origin = this.#make(key, shape, entry)
    return entry.origin
  }

  /** Machines that came from it live on. */
  drop(key: string): void {
    this.#entries.get(key)?.booted?.[Symbol.dispose]()
    this.#entries.delete(key)
  }

  close(): void {
    this.#gone.abort(new Failure('WORKER_DRAINED', 'the worker is stopping'))
    for (const key of this.#entries.keys()) this.drop(key)
  }

  async #make(key: string, shape: Shape, entry: Entry): Promise<MachineSpec['origin']> {
    try {
      const booted = await this.#save(shape)
      entry.booted = booted
      booted.launcher.lost.catch(() => this.#forget(key, entry))
      // It was dropped meanwhile.
      if (this.#entries.get(key) !== entry) booted[Symbol.dispose]()
      this.#tell(undefined)
      return { kind: 'template', id: booted.id }
    } catch (error) {
      // That the launcher is away says nothing of templates, nor would a machine boot without it.
      if (error instanceof LauncherLost) {
        this.#forget(key, entry)
        throw error
      }
      entry.bytes = 0
      setTimeout(() => this.#forget(key, entry), retryMs).unref()
      this.#tell(error as Error)
      return coldBoot
    }
  }

  async #save(shape: Shape): Promise<Booted> {
    const { vmm } = this.#hypervisor
    using patience = new Patience(bootMs, new Error(`the machine to save was not ready within ${bootMs} ms`))
    const signal = AbortSignal.any([patience.signal, this.#gone.signal])
    const booted = await vmm.boot(vmm.plan(specOf(this.#hypervisor, shape, { kind: 'draft' })), signal)
    try {
      await unlessAborted(booted.launcher.ask({ keepTemplate: {} }, 'templateKept'), signal)
      return booted
    } catch (error) {
      booted[Symbol.dispose]()
      throw error
    }
  }

  #forget(key: string, entry: Entry): void {
    if (this.#entries.get(key) === entry) this.drop(key)
  }

  #tell(problem: Error | undefined): void {
    const isNews = this.#problem !== problem?.message
    this.#problem = problem?.message
    if (isNews && !this.#gone.signal.aborted) this.#onChange(problem)
  }
}
