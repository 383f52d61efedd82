// Which machines this host can boot, found out by booting one: a /dev/kvm that opens may still not run a guest.
import { caisson } from '../../proto/messages.js'
import type { Log } from '../log.js'
import { LauncherConnection } from './launcher.js'
import { type Hypervisor, startMachine } from './microvm.js'
import { shapeOf, specOf } from './shape.js'
import type { Accelerator, Vmm } from './vmm.js'

const { Backend } = caisson.v1

const kvmMs = 3_000
const emulatedMs = 30_000
const mib = 1 << 20
/** Enough for a guest that runs nothing. */
const limits = { cpuMillis: 1000, memoryBytes: 4 * mib, pids: 8, diskBytes: mib, cpuMs: 60_000, wallMs: 60_000 }
const smallest = shapeOf(limits, 0)

export interface Found {
  hypervisor: Hypervisor | undefined
  offer: caisson.v1.IBackendOffer
}

const none = (unavailable: string): Found => ({
  hypervisor: undefined,
  offer: { backend: Backend.BACKEND_MICROVM, unavailable },
})

/** Until `findHypervisor` knows. */
export const notYetKnown: Found = none('not known yet: the worker is booting a guest to find out')

/** What the operator wants of machines. */
export interface Wanted {
  allowEmulation: boolean
  debug: boolean
}

export async function findHypervisor(
  vmm: Vmm,
  launcherPath: string,
  { allowEmulation, debug }: Wanted,
  log: Log,
): Promise<Found> {
  const guest = await describeGuest(launcherPath)
  if (guest.unavailable) return none(guest.unavailable)
  const machine = { vmm, tscKhz: guest.tscKhz ?? 0, acpi: guest.acpi ?? false, console: debug }
  const version = guest.version ?? ''
  const noKvm = guest.kvm ? await boots({ ...machine, accelerator: 'kvm' }, kvmMs, log) : 'there is no /dev/kvm'
  if (noKvm === undefined) return offered({ ...machine, accelerator: 'kvm' }, version)
  if (!allowEmulation) return none(`KVM: ${noKvm}; emulation is not allowed (--allow-emulation)`)
  const noTcg = await boots({ ...machine, accelerator: 'tcg' }, emulatedMs, log)
  if (noTcg === undefined) return offered({ ...machine, accelerator: 'tcg' }, version)
  return none(`KVM: ${noKvm}; emulated: ${noTcg}`)
}

const counts: Record<Accelerator, boolean> = { kvm: true, tcg: false }

function offered(hypervisor: Hypervisor, guest: string): Found {
  const { vmm, accelerator } = hypervisor
  const backend = Backend.BACKEND_MICROVM
  return { hypervisor, offer: { backend, vmm: vmm.name, accelerator, counts: counts[accelerator], unavailable: '', guest } }
}

async function describeGuest(launcherPath: string): Promise<caisson.launch.v1.IGuestDescribed> {
  using launcher = await LauncherConnection.connect(launcherPath)
  return await launcher.ask({ describeGuest: {} }, 'guestDescribed')
}

/** undefined: it does. Else why not. */
async function boots(hypervisor: Hypervisor, ms: number, log: Log): Promise<string | undefined> {
  try {
    using _machine = await startMachine(hypervisor.vmm, specOf(hypervisor, smallest, { kind: 'kernel' }), ms)
    return undefined
  } catch (error) {
    if (hypervisor.console) log.error('a guest does not boot', error, { accelerator: hypervisor.accelerator })
    return (error as Error).message
  }
}
