import { diskRateOf } from '../../proto/limits.js'
import type { caisson } from '../../proto/messages.js'

type HostLimits = Record<'cpuMillis' | 'memoryBytes' | 'pids' | 'diskBytes' | 'cpuMs' | 'wallMs', number>

/** The limits that the host keeps of any sandbox. The others: output_bytes in logs/, open_files by the agent. */
export function startOf(layers: string[], limits: caisson.v1.ILimits): caisson.launch.v1.IStart & HostLimits {
  const { cpuMillis, memoryBytes, pids, diskBytes, cpuMs, wallMs } = limits
  const start = { cpuMillis, memoryBytes, pids, diskBytes, cpuMs, wallMs }
  for (const [name, value] of Object.entries(start)) {
    // Unset would mean unlimited to whoever reads it carelessly: the record promises that all are set.
    if (!value) throw new Error(`limits.${name} is not set in the record`)
  }
  return { layers, ...(start as HostLimits) }
}

/** The disk of a container is the host's, which keeps its rate; that of a machine is its VMM's. */
export function startOfContainer(layers: string[], limits: caisson.v1.ILimits): caisson.launch.v1.IStart {
  const diskBytesPerSecond = diskRateOf(limits)
  return { ...startOf(layers, limits), ...(diskBytesPerSecond !== undefined && { diskBytesPerSecond }) }
}
