// QEMU's `microvm` machine: a few virtio devices and a clock, no PCI, no firmware to speak of.
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { LauncherConnection } from './launcher.js'
import { argsOf, overheadBytes } from './qemuArgs.js'
import { attaching, restoring, saving } from './qemuTalk.js'
import { Qmp } from './qmp.js'
import type { Booted, Disks, MachineSpec, Plan, Step, Vmm } from './vmm.js'

/** The launcher sees the end of a process this soon. */
const wordMs = 500

const talks: Record<MachineSpec['origin']['kind'], readonly Step[]> = { kernel: [], draft: saving, template: restoring }

export class Qemu implements Vmm {
  readonly name = 'qemu'
  readonly maxDisks = 64
  readonly #launcherPath: string

  constructor(launcherPath: string) {
    this.#launcherPath = launcherPath
  }

  plan(spec: MachineSpec): Plan {
    const { accelerator, memoryBytes, origin } = spec
    const boot = { args: argsOf(spec), memoryBytes: memoryBytes + overheadBytes[accelerator] }
    const talk = talks[origin.kind]
    if (origin.kind === 'draft') return { boot: { ...boot, templateBytes: memoryBytes }, talk }
    if (origin.kind === 'template') return { boot: { ...boot, templateId: origin.id }, talk }
    return { boot, talk }
  }

  async boot({ boot, talk }: Plan, signal: AbortSignal): Promise<Booted> {
    const launcher = await LauncherConnection.connect(this.#launcherPath)
    try {
      const qmp = new Qmp(launcher)
      const { sandboxId, channelPath } = await until(launcher.ask({ boot }, 'prepared'), signal)
      await until(orLaunchersWord(qmp.greet(), launcher), signal)
      for (const step of talk) await until(orLaunchersWord(qmp.perform(step), launcher), signal)
      return {
        id: sandboxId,
        launcher,
        channelPath,
        async attach(disks: Disks, signal: AbortSignal) {
          for (const step of attaching(disks)) await until(orLaunchersWord(qmp.perform(step), launcher), signal)
        },
        [Symbol.dispose]: () => launcher[Symbol.dispose](),
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
