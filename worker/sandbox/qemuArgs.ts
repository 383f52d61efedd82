// QEMU's command line. A machine that begins from a template must be the same machine, device for device.
import type { MachineSpec } from './vmm.js'

const mib = 1 << 20
/** Numbers of the descriptors that the launcher hands over (proto/launch.proto). */
const descriptor = { channel: 3, control: 4, kernel: 5, initramfs: 6, draftMemory: 7, templateMemory: 5 }
/** Follows the others. */
const consoleDescriptor: Record<MachineSpec['origin']['kind'], number> = { kernel: 7, draft: 8, template: 7 }
/** Of what a machine saved; restoring names it. */
export const stateDescriptor = 6
/** Beside the guest's memory: QEMU itself and its device buffers, and of an emulator the translated code. */
export const overheadBytes = { kvm: 96 * mib, tcg: 320 * mib }
/** More is never of use in a run of minutes, and QEMU's own default is a gigabyte. */
const translationCacheMib = 128
/** Twice what a run may ask for. */
const placeBytes = 2 ** 51
/**
 * Emulated: all that QEMU can but ERMS. Where a processor has it, kernel and libc copy and clear byte by byte ("rep movsb"), of which each costs
 * an emulator as much as eight at once.
 */
const processor = { kvm: 'host', tcg: 'max,-erms' }

/** The scratch disk that a machine was saved with, and the place where it is. */
export interface ReadyDisk {
  place: number
  bytes: number
}

/** One that begins from the kernel is told of its disks when it runs, and has no place for it. */
export function readyDiskOf({ disks, readyDiskBytes, origin }: MachineSpec): ReadyDisk | undefined {
  if (readyDiskBytes === undefined || origin.kind === 'kernel') return undefined
  return { place: disks + 1, bytes: readyDiskBytes }
}

export function argsOf(spec: MachineSpec): string[] {
  const { accelerator, cpus, memoryBytes, disks } = spec
  const ready = readyDiskOf(spec)
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-M', machine(spec)],
    ...['-accel', accelerator === 'kvm' ? 'kvm' : `tcg,thread=multi,tb-size=${translationCacheMib}`],
    ...['-cpu', processor[accelerator], '-smp', String(cpus)],
    ...['-m', `${memoryBytes / mib}M`],
    ...memoryArgs(spec),
    ...['-chardev', `socket,id=control,fd=${descriptor.control}`, '-mon', 'chardev=control,mode=control'],
    ...['-chardev', `socket,id=agent,fd=${descriptor.channel},server=on,wait=off`],
    ...['-device', 'virtio-serial-device,max_ports=2', '-device', 'virtserialport,chardev=agent,name=agent,id=agent'],
    ...consoleArgs(spec),
    ...['-object', 'rng-builtin,id=rng', '-device', 'virtio-rng-device,rng=rng'],
    ...['-device', 'virtio-scsi-device,id=scsi'],
    ...Array.from({ length: disks + 1 }, (_, disk) => diskArgs(disk, disk === 0)).flat(),
    ...(ready ? diskArgs(ready.place, true) : []),
  ]
}

function machine({ acpi, console, origin }: MachineSpec): string {
  return [
    ...['microvm', `acpi=${onOff(acpi)}`],
    // Without PIT, PIC and RTC an emulated guest would look for them for a second.
    ...['pit=on', 'pic=on', 'rtc=on', `isa-serial=${onOff(console)}`],
    // Memory is not merged with that of others, whose contents would then show by how long a write takes.
    ...['mem-merge=off', 'dump-guest-core=off'],
    ...(origin.kind === 'kernel' ? [] : ['memory-backend=memory']),
  ].join(',')
}

/** A serial line, which a kernel has from its first moments on. */
function consoleArgs({ console, origin }: MachineSpec): string[] {
  if (!console) return []
  return ['-chardev', `socket,id=console,fd=${consoleDescriptor[origin.kind]}`, '-serial', 'chardev:console']
}

/** A draft shares its memory, which is how it is saved; who comes from the template sees that, and keeps what it changes to itself. */
function memoryArgs(spec: MachineSpec): string[] {
  const { origin, memoryBytes } = spec
  const backend = (fd: number, share: 'on' | 'off') => [
    '-object',
    `memory-backend-file,id=memory,size=${memoryBytes / mib}M,mem-path=${path(fd)},share=${share}`,
  ]
  if (origin.kind === 'template') return [...backend(descriptor.templateMemory, 'off'), '-incoming', 'defer']
  const kernel = ['-kernel', path(descriptor.kernel), '-initrd', path(descriptor.initramfs), '-append', kernelWords(spec)]
  if (origin.kind === 'kernel') return kernel
  // The disk is there before the guest looks for it.
  const paused = readyDiskOf(spec) ? ['-S'] : []
  return [...backend(descriptor.draftMemory, 'on'), ...kernel, ...paused]
}

/**
 * Places, for what is behind a disk is exchanged when it is known. They are larger than whatever will be, so that the guest's kernel need not be
 * told of it: beyond its end it fails to read. Scratch disks are written to; the guest cannot change that of the others.
 */
function diskArgs(disk: number, isScratch: boolean): string[] {
  const access = isScratch ? 'read-only=off' : 'read-only=on'
  return [
    ...['-blockdev', `driver=null-co,node-name=empty${disk},size=${placeBytes},read-zeroes=on,${access}`],
    ...['-blockdev', `driver=raw,node-name=disk${disk},file=empty${disk},${access}`],
    ...['-device', `scsi-hd,bus=scsi.0,scsi-id=${disk},drive=disk${disk}`],
  ]
}

/** Security modules that do something without a policy, of which a guest has none. */
const modules = 'lsm=landlock,lockdown,yama'

/**
 * Emulated, each instruction counts. Against what a processor does ahead of time a guest's kernel cannot guard: its code is not what runs. And
 * what its memory held before was its client's, or nobody's.
 */
const unguarded = 'mitigations=off init_on_alloc=0'

/** An emulated guest finds nothing to measure its clock by: it is told, and told to believe it. */
function kernelWords(spec: MachineSpec): string {
  const { accelerator, tscKhz, disks, console } = spec
  const clock = `tsc_early_khz=${tscKhz} tsc=reliable no_timer_check noreplace-smp`
  const emulated = accelerator === 'tcg' ? `${clock} ${unguarded} ` : ''
  const words = console ? 'console=ttyS0' : 'quiet'
  const ready = readyDiskOf(spec)
  const agentWords = ['microvm', disks + 1, ...(ready ? [ready.bytes] : [])].join(' ')
  return `panic=-1 reboot=t ${words} ${modules} ${emulated}${agentWords}`
}

const onOff = (on: boolean) => (on ? 'on' : 'off')

const path = (fd: number) => `/proc/self/fd/${fd}`
