// QEMU's `microvm` machine: a few virtio devices and a clock, no PCI, no firmware to speak of.
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { ChannelSocket } from '../agent/channel.js'
import { unlessAborted } from '../within.js'
import { GuestConsole } from './console.js'
import { LauncherConnection } from './launcher.js'
import { argsOf, overheadBytes, readyDiskOf } from './qemuArgs.js'
import { attaching, restoring, saving } from './qemuTalk.js'
import { Qmp } from './qmp.js'
import type { Booted, Disks, MachineSpec, Plan, Vmm } from './vmm.js'

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
    const { accelerator, memoryBytes, origin, console } = spec
    const boot = { args: argsOf(spec), memoryBytes: memoryBytes + overheadBytes[accelerator], console }
    const ready = readyDiskOf(spec)
    const attach = (disks: Disks) => attaching(disks, ready)
    if (origin.kind === 'draft') return { boot: { ...boot, templateBytes: memoryBytes }, talk: saving(ready), attach }
    if (origin.kind === 'template') return { boot: { ...boot, templateId: origin.id }, talk: restoring, attach }
    return { boot, talk: [], attach }
  }

  async boot({ boot, talk, attach }: Plan, signal: AbortSignal): Promise<Booted> {
    const launcher = await LauncherConnection.connect(this.#launcherPath)
    let console: GuestConsole | undefined
    try {
      const qmp = new Qmp(launcher)
      const { sandboxId, channelPath, consolePath, wall } = await unlessAborted(launcher.ask({ boot }, 'prepared'), signal)
      if (consolePath) console = new GuestConsole(consolePath)
      const version = await unlessAborted(orLaunchersWord(qmp.greet(), launcher), signal)
      for (const step of talk) await unlessAborted(orLaunchersWord(qmp.perform(step), launcher), signal)
      return {
        id: sandboxId,
        launcher,
        channelPath,
        wall: wall ?? {},
        version,
        console,
        async attach(disks: Disks, signal: AbortSignal) {
          for (const step of attach(disks)) await unlessAborted(orLaunchersWord(qmp.perform(step), launcher), signal)
        },
        [Symbol.dispose]: () => launcher[Symbol.dispose](),
      }
    } catch (error) {
      await console?.explain(error)
      launcher[Symbol.dispose]()
      throw error
    }
  }

  async openChannel({ channelPath, launcher }: Booted, signal: AbortSignal): Promise<Duplex> {
    const channel = new ChannelSocket(channelPath)
    const connected = new Promise<void>((resolve, reject) => channel.once('connect', resolve).once('error', reject))
    try {
      await unlessAborted(Promise.race([connected, launcher.lost]), signal)
      return channel
    } catch (error) {
      channel.destroy()
      throw error
    }
  }
}

/** Of a VMM that ends while we talk with it the launcher knows more than its sockets tell. */
export async function orLaunchersWord<T>(promise: Promise<T>, launcher: LauncherConnection): Promise<T> {
  try {
    return await Promise.race([promise, launcher.lost])
  } catch (error) {
    await Promise.race([launcher.lost, delay(wordMs)])
    throw error
  }
}
