// What a microVM needs of a virtual machine monitor, and nothing else, so that another one is one more file.
import type { Duplex } from 'node:stream'
import type { caisson } from '../../proto/messages.js'
import type { GuestConsole } from './console.js'
import type { LauncherConnection } from './launcher.js'

export type Accelerator = 'kvm' | 'tcg'

export interface MachineSpec {
  accelerator: Accelerator
  cpus: number
  /** Of the guest, its kernel included. */
  memoryBytes: number
  /** Places for layers: disks 1 and up, empty at first. Disk 0 is the scratch disk's. */
  disks: number
  /**
   * A draft is saved with a scratch disk of this size, mounted by its agent, in a place behind those of the layers; what comes from the
   * template is the same machine. Undefined: it has none, as has one that begins from the kernel.
   */
  readyDiskBytes?: number
  /** Of the host's time stamp counter. */
  tscKhz: number
  /** Whether the guest's kernel has it. */
  acpi: boolean
  /** Somebody debugs it: it has a console, and says more there. */
  console: boolean
  /** What the guest's memory begins with; a draft's is saved, to be the template of others. */
  origin: { kind: 'kernel' | 'draft' } | { kind: 'template'; id: string }
}

/** What is put into a machine's places. */
export interface Disks {
  /** Oldest first. */
  layerKeys: readonly string[]
  diskBytes: number
  /** Of the scratch disk, reading and writing each; undefined: as fast as the machine is. */
  diskBytesPerSecond?: number
}

/** A descriptor that goes along with what a VMM is told. */
export type HandedFile = Pick<caisson.launch.v1.ITell, 'layer' | 'scratchBytes' | 'state'>

/** What a VMM is told, or what it is waited for to say. */
export type Step =
  | { execute: string; arguments?: object; file?: HandedFile }
  /** `unless`: then it will not come any more. */
  | { event: string; data: Record<string, unknown>; unless?: Record<string, unknown> }

export interface Plan {
  /** All that the launcher is asked for. */
  boot: caisson.launch.v1.IBoot
  talk: readonly Step[]
  /** Puts its disks into their places, once it runs. */
  attach(disks: Disks): readonly Step[]
}

/** A machine that runs. It ends with its connection to the launcher. */
export interface Booted extends Disposable {
  /** What the launcher calls it. */
  readonly id: string
  readonly launcher: LauncherConnection
  readonly channelPath: string
  readonly wall: caisson.launch.v1.IWall
  /** As the VMM says it. */
  readonly version: string
  /** Where its console is kept; undefined where it has none. */
  readonly console: GuestConsole | undefined
  /** Once, before its agent mounts them. */
  attach(disks: Disks, signal: AbortSignal): Promise<void>
}

export interface Vmm {
  readonly name: string
  /** Layers of one machine. */
  readonly maxDisks: number
  /** Pure. */
  plan(spec: MachineSpec): Plan
  /** Resolves when the VMM runs, which its guest need not do yet; that of a draft, when it is saved. */
  boot(plan: Plan, signal: AbortSignal): Promise<Booted>
  /** Where the agent answers, once the guest is up. */
  openChannel(booted: Booted, signal: AbortSignal): Promise<Duplex>
}
