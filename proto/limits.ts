// Range and default of every limit, as run.proto documents them.
import type { caisson } from './messages.js'

export interface LimitRule {
  /** In caisson.v1.Limits. */
  readonly name: LimitName
  /** As run.proto writes it. */
  readonly field: string
  readonly least: number
  readonly most: number
  /** Undefined: derived from the others (cpu_ms). */
  readonly fallback: number | undefined
}

export type LimitName =
  | 'cpuMillis'
  | 'memoryBytes'
  | 'pids'
  | 'diskBytes'
  | 'outputBytes'
  | 'wallMs'
  | 'cpuMs'
  | 'openFiles'
  | 'diskBytesPerSecond'

export type AllLimits = Record<LimitName, number>

const MiB = 1 << 20
const GiB = 2 ** 30
const week = 604_800_000
/** Far beyond any machine, and exact in a double. */
const PiB = 2 ** 50

const rule = (name: LimitName, field: string, least: number, most: number, fallback?: number): LimitRule => ({
  name,
  field: `spec.limits.${field}`,
  least,
  most,
  fallback,
})

export const limitRules: readonly LimitRule[] = [
  rule('cpuMillis', 'cpu_millis', 10, 1_024_000, 1_000),
  rule('memoryBytes', 'memory_bytes', 4 * MiB, PiB, 256 * MiB),
  rule('pids', 'pids', 1, 32_768, 128),
  rule('diskBytes', 'disk_bytes', MiB, PiB, GiB),
  rule('outputBytes', 'output_bytes', 0, 16 * GiB, 16 * MiB),
  rule('wallMs', 'wall_ms', 1, week, 60_000),
  rule('cpuMs', 'cpu_ms', 1, week),
  rule('openFiles', 'open_files', 8, 1_048_576, 1_024),
  rule('diskBytesPerSecond', 'disk_bytes_per_second', 64 << 10, PiB, PiB),
]

/** Undefined: as fast as the machine is. */
export const diskRateOf = ({ diskBytesPerSecond }: caisson.v1.ILimits): number | undefined =>
  diskBytesPerSecond == null || diskBytesPerSecond >= PiB ? undefined : diskBytesPerSecond

/** Highest values a run may ask for; a limit that is not named has its rule's maximum only. */
export type Maxima = Partial<AllLimits>

/** What is asked for, and defaults for the rest: lowered to what may be had, never unlimited. */
export function resolveLimits(asked: caisson.v1.ILimits, maxima: Maxima): AllLimits {
  const resolve = (name: LimitName, fallback: number) => asked[name] ?? Math.min(fallback, maxima[name] ?? fallback)
  const all: Partial<AllLimits> = {}
  for (const { name, fallback } of limitRules) if (fallback !== undefined) all[name] = resolve(name, fallback)
  const { wallMs = 0, cpuMillis = 0 } = all
  const cpuMs = resolve('cpuMs', Math.min(Math.max(Math.ceil((wallMs * cpuMillis) / 1_000), 1), week))
  return { ...all, cpuMs } as AllLimits
}
