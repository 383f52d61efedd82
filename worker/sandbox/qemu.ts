// QEMU's `microvm` machine: a few virtio devices and a clock, no PCI, no firmware to speak of.
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { LauncherConnection } from './launcher.js'
import { shakeHands } from './qmp.js'
import type { Booted, MachineSpec, Plan, Vmm } from './vmm.js'

const mib = 1 << 20
/** Numbers of the descriptors that the launcher hands over (proto/launch.proto). */
const descriptor = { channel: 3, control: 4, kernel: 5, initramfs: 6, firstDisk: 7 }
/** Beside the guest's memory: QEMU itself and its device buffers, and of an emulator the translated code. */
const overheadBytes = { kvm: 96 * mib, tcg: 320 * mib }
/** More is never of use in a run of minutes, and QEMU's own default is a gigabyte. */
const translationCacheMib = 128
/** The launcher sees the end of a process this soon. */
const wordMs = 500

export class Qemu implements Vmm {
  readonly name = 'qemu'
  readonly maxDisks = 64
  readonly #launcherPath: string

  constructor(launcherPath: string) {
    this.#launcherPath = launcherPath
  }

  plan(spec: MachineSpec): Plan {
    return {
      args: argsOf(spec),
      layers: [...spec.layerKeys],
      diskBytes: spec.diskBytes,
      memoryBytes: spec.memoryBytes + overheadBytes[spec.accelerator],
    }
  }

  async boot(plan: Plan, signal: AbortSignal): Promise<Booted> {
    const launcher = await LauncherConnection.connect(this.#launcherPath)
    try {
      const { channelPath, controlPath } = await until(launcher.ask({ boot: plan }, 'prepared'), signal)
      const control = connect({ path: controlPath ?? '' })
      // What is wrong with it shows where it is read.
      control.on('error', () => {})
      await orLaunchersWord(shakeHands(control, signal), launcher)
      return {
        launcher,
        channelPath: channelPath ?? '',
        [Symbol.dispose]: () => {
          control.destroy()
          launcher[Symbol.dispose]()
        },
      }
    } catch (error) {
      launcher[Symbol.dispose]()
      throw error
    }
  }

  async openChannel({ channelPath, launcher }: Booted, signal: AbortSignal): Promise<Duplex> {
    const channel = connect({ path: channelPath })
    const connected = new Promise<void>((resolve, reject) => channel.once('connect', resolve).once('error', reject))
    try {
      await until(Promise.race([connected, launcher.lost]), signal)
      return channel
    } catch (error) {
      channel.destroy()
      throw error
    }
  }
}

function argsOf(spec: MachineSpec): string[] {
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    // Without PIT, PIC and RTC an emulated guest would look for them for a second.
    // Memory is not merged with that of others, whose contents would then show by how long a write takes.
    ...['-M', `microvm,acpi=${spec.acpi ? 'on' : 'off'},pit=on,pic=on,rtc=on,isa-serial=off,mem-merge=off,dump-guest-core=off`],
    ...['-accel', spec.accelerator === 'kvm' ? 'kvm' : `tcg,thread=multi,tb-size=${translationCacheMib}`],
    ...['-cpu', spec.accelerator === 'kvm' ? 'host' : 'max', '-smp', String(spec.cpus)],
    ...['-m', `${spec.memoryBytes / mib}M`],
    ...['-kernel', path(descriptor.kernel), '-initrd', path(descriptor.initramfs), '-append', kernelWords(spec)],
    ...['-chardev', `socket,id=control,fd=${descriptor.control},server=on,wait=off`, '-mon', 'chardev=control,mode=control'],
    ...['-chardev', `socket,id=agent,fd=${descriptor.channel},server=on,wait=off`],
    ...['-device', 'virtio-serial-device,max_ports=2', '-device', 'virtserialport,chardev=agent,name=agent'],
    ...['-object', 'rng-builtin,id=rng', '-device', 'virtio-rng-device,rng=rng'],
    ...['-device', 'virtio-scsi-device,id=scsi'],
    ...Array.from({ length: spec.layerKeys.length + 1 }, (_, disk) => diskArgs(disk)).flat(),
  ]
}

/** Disk 0 is written to. The others were opened by the launcher for reading, and the guest cannot change that either. */
function diskArgs(disk: number): string[] {
  const fd = descriptor.firstDisk + disk
  const access = disk === 0 ? 'read-only=off,discard=unmap' : 'read-only=on'
  const file = `file.driver=file,file.filename=/dev/fdset/${fd},file.locking=off`
  return [
    ...['-add-fd', `fd=${fd},set=${fd}`, '-blockdev', `driver=raw,node-name=disk${disk},${access},${file}`],
    ...['-device', `scsi-hd,bus=scsi.0,scsi-id=${disk},drive=disk${disk}`],
  ]
}

/** An emulated guest finds nothing to measure its clock by: it is told, and told to believe it. */
function kernelWords({ accelerator, tscKhz }: MachineSpec): string {
  const clock = accelerator === 'tcg' ? `tsc_early_khz=${tscKhz} tsc=reliable no_timer_check noreplace-smp ` : ''
  return `panic=-1 reboot=t quiet ${clock}microvm`
}

const path = (fd: number) => `/proc/self/fd/${fd}`

/** Of a VMM that ends while we talk with it the launcher knows more than its sockets tell. */
export async function orLaunchersWord<T>(promise: Promise<T>, launcher: LauncherConnection): Promise<T> {
  try {
    return await Promise.race([promise, launcher.lost])
  } catch (error) {
    await Promise.race([launcher.lost, delay(wordMs)])
    throw error
  }
}

/** Rejects as soon as the signal fires; whoever owns what `promise` waits for then closes it. */
async function until<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  let leave = () => {}
  const aborted = new Promise<never>((_, reject) => {
    leave = () => reject(signal.reason)
    signal.addEventListener('abort', leave, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
