// Wire messages → model.ts. A number that this version does not know (a newer service) shows as its number's text.

import { caisson, type google } from '../../proto/messages.js'
import type {
  BackendName,
  Limits,
  Observed,
  Outcome,
  Placement,
  Pressure,
  ReportedInside,
  Run,
  RunEvent,
  RunSpec,
  Stall,
  StreamName,
  Usage,
  Verdict,
  Worker,
} from './model.js'

const v1 = caisson.v1

export function readRun(run: caisson.v1.IRun): Run {
  return {
    runId: run.runId ?? '',
    spec: readSpec(run.spec ?? {}),
    state: enumName(v1.State, run.state),
    attempt: run.attempt ?? 0,
    ...(run.placement && { placement: readPlacement(run.placement) }),
    imageDigest: run.imageDigest ?? '',
    ...dates({ submittedAt: run.submittedAt, startedAt: run.startedAt, endedAt: run.endedAt }),
    ...(run.verdict && { verdict: readVerdict(run.verdict) }),
    limits: readLimits(run.limits ?? {}),
  }
}

export function readEvent(event: caisson.v1.RunEvent): RunEvent {
  const { runId, cursor } = event
  const head = { runId, cursor, time: readTime(event.time) ?? new Date(0) }
  if (event.output) {
    const { stream, offset, data, attempt } = event.output
    return { ...head, type: 'output', stream: streamName(stream), offset: offset ?? 0, data: bytes(data), attempt: attempt ?? 0 }
  }
  if (event.state) {
    const { state, attempt, placement, message } = event.state
    const change = { state: enumName(v1.State, state), attempt: attempt ?? 0, message: message ?? '' }
    return { ...head, type: 'state', ...change, ...(placement && { placement: readPlacement(placement) }) }
  }
  if (event.progress) {
    const { what, digest, doneBytes, totalBytes } = event.progress
    return {
      ...head,
      type: 'progress',
      what: what ?? '',
      digest: digest ?? '',
      doneBytes: doneBytes ?? 0,
      totalBytes: totalBytes ?? 0,
    }
  }
  if (event.truncated) return { ...head, type: 'truncated', limitBytes: event.truncated.limitBytes ?? 0 }
  return { ...head, type: 'verdict', verdict: readVerdict(event.verdict ?? {}) }
}

export function readVerdict(verdict: caisson.v1.IVerdict): Verdict {
  const outcome = enumName(v1.Outcome, verdict.outcome)
  const { reported, observed, stages } = verdict
  const exitCode = outcome === 'EXITED' ? (verdict.exitCode ?? 0) : deniedExit(outcome, reported)
  return {
    outcome,
    ...(exitCode !== undefined && { exitCode }),
    ...(verdict.signal && { signal: verdict.signal }),
    effect: enumName(v1.Effect, verdict.effect),
    message: verdict.message ?? '',
    reason: verdict.reason ?? '',
    observed: readObserved(observed ?? {}),
    ...readReported(reported),
    usage: present<Usage>(verdict.usage ?? {}),
    stages: {
      queuedUs: stages?.queuedUs ?? 0,
      imageUs: stages?.imageUs ?? 0,
      sandboxUs: stages?.sandboxUs ?? 0,
      processUs: stages?.processUs ?? 0,
    },
  }
}

type Counted = Pick<Observed, 'oomKills' | 'pidsDenied' | 'diskFull' | 'memoryLimitHits' | 'memoryOomEvents'>

function readObserved(observed: caisson.v1.IObserved): Observed {
  const { oomKills, pidsDenied, diskFull, memoryLimitHits, memoryOomEvents, pressure } = observed
  return {
    ...present<Counted>({ oomKills, pidsDenied, diskFull, memoryLimitHits, memoryOomEvents }),
    cpuExceeded: observed.cpuExceeded ?? false,
    wallExceeded: observed.wallExceeded ?? false,
    outputExceeded: observed.outputExceeded ?? false,
    agentLost: observed.agentLost ?? false,
    ...(pressure && { pressure: readPressure(pressure) }),
  }
}

function readPressure({ cpu, memory, io }: caisson.v1.IPressure): Pressure {
  return {
    ...(cpu && { cpu: readStall(cpu) }),
    ...(memory && { memory: readStall(memory) }),
    ...(io && { io: readStall(io) }),
  }
}

const readStall = ({ someUs, fullUs }: caisson.v1.IStall): Stall => ({ someUs: someUs ?? 0, ...(fullUs != null && { fullUs }) })

/** With DISK_LIMIT and PIDS_LIMIT the program was denied something, and ended by itself. */
function deniedExit(outcome: Outcome, reported: caisson.v1.IReported | null | undefined): number | undefined {
  return outcome === 'DISK_LIMIT' || outcome === 'PIDS_LIMIT' ? (reported?.exitCode ?? undefined) : undefined
}

function readReported(reported: caisson.v1.IReported | null | undefined): Pick<Verdict, 'reported'> {
  const { oomKills, pidsDenied, diskFull } = reported ?? {}
  const inside = present<ReportedInside>({ oomKills, pidsDenied, diskFull })
  if (reported?.signal != null) return { reported: { signal: reported.signal, ...inside } }
  if (reported?.exitCode != null) return { reported: { exitCode: reported.exitCode, ...inside } }
  return {}
}

function readSpec(spec: caisson.v1.IRunSpec): RunSpec {
  return {
    image: spec.image ?? '',
    ...(spec.pull && { pull: enumName(v1.Pull, spec.pull) }),
    args: spec.args ?? [],
    ...(spec.entrypoint && { entrypoint: spec.entrypoint.words ?? [] }),
    env: { ...spec.env },
    ...(spec.cwd && { cwd: spec.cwd }),
    ...(spec.user && { user: spec.user }),
    labels: { ...spec.labels },
    ...(spec.stdinAttach && { stdin: 'attach' as const }),
    ...(spec.stdinInline != null && { stdin: bytes(spec.stdinInline) }),
    limits: readLimits(spec.limits ?? {}),
    ...(spec.seccomp && { seccomp: spec.seccomp }),
    capabilities: spec.capabilities ?? [],
    isolation: enumName(v1.Isolation, spec.isolation || v1.Isolation.MICROVM_PREFERRED),
    priority: spec.priority ?? 0,
    ...(spec.startWithinMs != null && { startWithinMs: spec.startWithinMs }),
    ...(spec.retentionMs != null && { retentionMs: spec.retentionMs }),
    retryAfterStart: spec.retryAfterStart ?? false,
    waitForWorker: spec.waitForWorker ?? false,
  }
}

export function readWorker(worker: caisson.v1.IWorker): Worker {
  return {
    workerId: worker.workerId ?? '',
    hostname: worker.hostname ?? '',
    offers: (worker.offers ?? []).map((offer) => ({
      backend: backendName(offer.backend),
      vmm: offer.vmm ?? '',
      accelerator: offer.accelerator ?? '',
      counts: offer.counts ?? false,
      unavailable: offer.unavailable ?? '',
      guest: offer.guest ?? '',
      limitation: offer.limitation ?? '',
      diskRateUnavailable: offer.diskRateUnavailable ?? '',
      ...(offer.memoryBytes != null && { memoryBytes: offer.memoryBytes }),
    })),
    maximum: readLimits(worker.maximum ?? {}),
    cpuMillisFree: worker.cpuMillisFree ?? 0,
    memoryBytesFree: worker.memoryBytesFree ?? 0,
    activeRuns: worker.activeRuns ?? 0,
    ...dates({ seenAt: worker.seenAt }),
    draining: worker.draining ?? false,
    receiptKey: worker.receiptKey ?? '',
  }
}

const readLimits = (limits: caisson.v1.ILimits): Limits => present<Limits>(limits)

function readPlacement({ workerId, backend, vmm, accelerator }: caisson.v1.IPlacement): Placement {
  return { workerId: workerId ?? '', backend: backendName(backend), vmm: vmm ?? '', accelerator: accelerator ?? '' }
}

const backendName = (backend: caisson.v1.Backend | null | undefined): BackendName =>
  backend === v1.Backend.BACKEND_MICROVM ? 'microvm' : 'container'

const streamName = (stream: caisson.v1.Stream | null | undefined): StreamName =>
  stream === v1.Stream.STDERR ? 'stderr' : 'stdout'

function enumName<Enum extends Record<string, string | number>>(
  names: Enum,
  value: number | null | undefined,
): Exclude<keyof Enum, `${string}UNSPECIFIED`> {
  const known: Record<number, unknown> = names
  return (known[value ?? 0] ?? String(value)) as Exclude<keyof Enum, `${string}UNSPECIFIED`>
}

/** Copies the fields that are set; a message's own null means absent. */
function present<Fields extends object>(message: { [Name in keyof Fields]?: number | boolean | null | undefined }): Fields {
  return Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null && value !== undefined)) as Fields
}

export function dates<Name extends string>(
  times: Record<Name, google.protobuf.ITimestamp | null | undefined>,
): { [N in Name]?: Date } {
  const read = Object.entries<google.protobuf.ITimestamp | null | undefined>(times).map(([name, time]) => [name, readTime(time)])
  return Object.fromEntries(read.filter(([, date]) => date !== undefined)) as { [N in Name]?: Date }
}

function readTime(time: google.protobuf.ITimestamp | null | undefined): Date | undefined {
  return time ? new Date((time.seconds ?? 0) * 1000 + (time.nanos ?? 0) / 1e6) : undefined
}

function bytes(data: Uint8Array | null | undefined): Buffer {
  return data ? Buffer.from(data.buffer, data.byteOffset, data.byteLength) : Buffer.alloc(0)
}
