// Of which machines there are templates: a run gets the smallest that has room for it.
import { diskRateOf, resolveLimits } from '../../proto/limits.js'
import type { caisson } from '../../proto/messages.js'
import type { Share } from '../capacity.js'
import { startOf } from './limits.js'
import type { Hypervisor } from './microvm.js'
import type { Disks, MachineSpec } from './vmm.js'

const mib = 1 << 20
/** The guest's kernel and agent, which the program's limit does not count; and what the kernel keeps about each page. */
const guestBytes = 96 * mib
const bytesPerPageByte = 32
const leastBytes = 128 * mib
/** Places for layers. Each that stays empty costs a cold boot some milliseconds. */
const places = [8, 64]

/** What most runs ask for. */
const usualDiskBytes = resolveLimits({}, {}).diskBytes

export type Shape = Pick<MachineSpec, 'cpus' | 'memoryBytes' | 'disks'>

export function shapeOf(limits: caisson.v1.ILimits, layers: number): Shape {
  const { memoryBytes, cpuMillis } = startOf([], limits)
  return {
    cpus: Math.ceil(cpuMillis / 1000),
    memoryBytes: guestMemory(memoryBytes),
    disks: places.find((count) => count >= layers) ?? layers,
  }
}

/** A layer that comes twice shows as it does at its topmost place alone, and takes one disk. */
export function disksOf(layerKeys: readonly string[], limits: caisson.v1.ILimits): Disks {
  const diskBytesPerSecond = diskRateOf(limits)
  return {
    layerKeys: [...new Set(layerKeys.toReversed())].reverse(),
    diskBytes: startOf([], limits).diskBytes,
    ...(diskBytesPerSecond !== undefined && { diskBytesPerSecond }),
  }
}

export const shapeKey = ({ cpus, memoryBytes, disks }: Shape) => `${cpus}/${memoryBytes / mib}/${disks}`

/** Four sizes to each power of two: few templates serve many limits, and memory that nobody touches costs nothing. */
export function guestMemory(memoryBytes: number): number {
  const needed = memoryBytes + guestBytes + memoryBytes / bytesPerPageByte
  const step = 2 ** Math.floor(Math.log2(Math.max(needed, leastBytes))) / 4
  return Math.ceil(Math.max(needed, leastBytes) / step) * step
}

export function specOf(
  { accelerator, tscKhz, acpi, console }: Hypervisor,
  shape: Shape,
  origin: MachineSpec['origin'],
): MachineSpec {
  return { ...shape, accelerator, tscKhz, acpi, console, origin, readyDiskBytes: usualDiskBytes }
}

/** The highest limits.memoryBytes of a run that takes no more than `bytes` of the host; 0: there is none. */
export function mostMemory(bytes: number, hypervisor: Hypervisor): number {
  let [fits, beyond] = [0, bytes + 1]
  while (beyond - fits > 1) {
    const memoryBytes = Math.floor((fits + beyond) / 2)
    if (shareOfMachine(resolveLimits({ memoryBytes }, {}), hypervisor).memoryBytes <= bytes) fits = memoryBytes
    else beyond = memoryBytes
  }
  return fits
}

/** What a run takes of the host: also its guest's kernel, and its VMM. */
export function shareOfMachine(limits: caisson.v1.ILimits, hypervisor: Hypervisor): Share {
  const spec = specOf(hypervisor, shapeOf(limits, 0), { kind: 'kernel' })
  return { cpuMillis: limits.cpuMillis ?? 0, memoryBytes: hypervisor.vmm.plan(spec).boot.memoryBytes ?? 0 }
}
