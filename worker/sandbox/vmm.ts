// What a microVM needs of a virtual machine monitor, and nothing else, so that another one is one more file.
import type { Duplex } from 'node:stream'
import type { caisson } from '../../proto/messages.js'
import type { LauncherConnection } from './launcher.js'

export type Accelerator = 'kvm' | 'tcg'

export interface MachineSpec {
  accelerator: Accelerator
  cpus: number
  /** Of the guest, its kernel included. */
  memoryBytes: number
  /** Keys of the layers, oldest first: disks 1 and up. Disk 0 is the scratch disk. */
  layerKeys: readonly string[]
  diskBytes: number
  /** Of the host's time stamp counter. */
  tscKhz: number
  /** Whether the guest's kernel has it. */
  acpi: boolean
}

/** All that the launcher is asked for. */
export type Plan = caisson.launch.v1.IBoot

/** A machine that runs. It ends with its connection to the launcher. */
export interface Booted extends Disposable {
  readonly launcher: LauncherConnection
  readonly channelPath: string
}

export interface Vmm {
  readonly name: string
  /** Layers of one machine. */
  readonly maxDisks: number
  /** Pure. */
  plan(spec: MachineSpec): Plan
  /** Resolves when the VMM runs, which its guest need not do yet. */
  boot(plan: Plan, signal: AbortSignal): Promise<Booted>
  /** Where the agent answers, once the guest is up. */
  openChannel(booted: Booted, signal: AbortSignal): Promise<Duplex>
}
