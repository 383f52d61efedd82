// From what was observed and what was reported to the one verdict of a run. Pure.
import { constants } from 'node:os'
import { caisson } from '../proto/messages.js'
import { type Failure, type RunReasonName, runReasons } from '../proto/reason.js'
import type { Report } from './agent/process.js'

const { Effect } = caisson.v1
const { StopReason } = caisson.launch.v1
const { Step } = caisson.agent.v1.Failed

export interface Ending {
  limits: caisson.v1.ILimits
  /** How far it came: before Exec, Exec sent, Started heard. */
  reached: 'preparing' | 'executing' | 'started'
  /** What we saw go wrong, or were told to do: the first. */
  failure: Failure | undefined
  /** The agent's word. */
  report: Report | undefined
  /** The agent's word too, from inside of a machine, where the host cannot count. */
  counters: caisson.agent.v1.ICounters | undefined
  /** The launcher's. */
  account: caisson.launch.v1.IFinished | undefined
  output: { keptBytes: number; exceeded: boolean }
  stages: caisson.v1.IStages
}

interface Why {
  reason: RunReasonName
  message: string
}

export function verdictOf(ending: Ending): caisson.v1.IVerdict {
  const { report } = ending
  const { reason, message } = whyOf(ending)
  return {
    outcome: runReasons[reason].outcome,
    reason,
    message,
    effect: effectOf(ending, reason),
    ...(report?.kind === 'exited' && { exitCode: report.exitCode }),
    ...(report?.kind === 'signaled' && reason === 'SIGNALED' && { signal: report.signal }),
    observed: observedOf(ending),
    reported: { ...reportedOf(report), ...reportedInside(ending.counters) },
    usage: usageOf(ending),
    stages: ending.stages,
  }
}

/** The reasons that killed come first, for the launcher kept the first of them; then the program's own end; then what we did wrong. */
function whyOf(ending: Ending): Why {
  return killedFor(ending) ?? ownExit(ending) ?? failed(ending.failure) ?? ownEnd(ending) ?? lost(ending)
}

function killedFor({ account, counters, limits }: Ending): Why | undefined {
  const outOfMemory: Why = { reason: 'MEMORY_LIMIT', message: `needed more than limits.memory_bytes, ${limits.memoryBytes}` }
  switch (account?.reason) {
    case StopReason.OOM:
      return outOfMemory
    case StopReason.CPU_TIME:
      return { reason: 'CPU_LIMIT', message: `used more cpu time than limits.cpu_ms, ${limits.cpuMs}` }
    case StopReason.WALL_TIME:
      return { reason: 'WALL_LIMIT', message: `ran longer than limits.wall_ms, ${limits.wallMs}` }
    case StopReason.OUTPUT:
      return { reason: 'OUTPUT_LIMIT', message: `wrote more than limits.output_bytes, ${limits.outputBytes}` }
    case StopReason.CANCEL:
      return { reason: 'CANCELLED', message: 'cancelled' }
    default:
      // The kernel's kill may end the program before the launcher hears of it.
      return account?.oomKills || counters?.oomKills ? outOfMemory : undefined
  }
}

function ownExit({ report, account, counters, limits }: Ending): Why | undefined {
  if (report?.kind !== 'exited') return undefined
  const plain: Why = { reason: 'EXITED', message: `exit code ${report.exitCode}` }
  return report.exitCode === 0 ? plain : (denied(counters ?? account, limits) ?? plain)
}

function ownEnd({ report, account, counters, limits }: Ending): Why | undefined {
  if (report?.kind === 'signaled')
    return denied(counters ?? account, limits) ?? { reason: 'SIGNALED', message: signalText(report) }
  if (report?.kind === 'failed') return notStarted(report)
  return undefined
}

/** What denies without killing is evidence only; the verdict where the main process did not exit 0. */
function denied(evidence: Ending['counters'], limits: Ending['limits']): Why | undefined {
  if (evidence?.pidsDenied) return { reason: 'PIDS_LIMIT', message: `needed more processes than limits.pids, ${limits.pids}` }
  if (evidence?.diskFull) return { reason: 'DISK_LIMIT', message: `wrote more than limits.disk_bytes, ${limits.diskBytes}` }
  return undefined
}

function failed(failure: Failure | undefined): Why | undefined {
  return failure && { reason: failure.reason, message: failure.message }
}

function lost({ account }: Ending): Why {
  if (account?.reason === StopReason.AGENT_LOST) return { reason: 'AGENT_LOST', message: "the sandbox's init died" }
  return { reason: 'INTERNAL', message: 'the end of the program was not reported' }
}

function notStarted({ step, errno, message }: Report & { kind: 'failed' }): Why {
  switch (step) {
    case Step.USER:
      return { reason: 'USER_NOT_FOUND', message: `spec.user: ${message}` }
    case Step.CWD:
      return { reason: 'CWD_UNUSABLE', message: `spec.cwd: ${message}` }
    case Step.EXEC: {
      const reason = errno === constants.errno.ENOENT ? 'COMMAND_NOT_FOUND' : 'COMMAND_NOT_EXECUTABLE'
      return { reason, message: `spec.args: ${message}` }
    }
    default:
      return { reason: 'SANDBOX_FAILED', message: `the agent could not start the program: ${message}` }
  }
}

function signalText({ signal, coreDumped }: Report & { kind: 'signaled' }): string {
  const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0]
  return `killed by signal ${signal}${name ? ` (${name})` : ''}${coreDumped ? ', core dumped' : ''}`
}

function effectOf({ reached, report, account, counters, failure }: Ending, reason: RunReasonName): caisson.v1.Effect {
  if (reached === 'preparing' || report?.kind === 'failed') return Effect.NEVER_STARTED
  if (report?.kind === 'exited' || reason === 'SIGNALED') return Effect.COMPLETED
  if (report?.kind === 'signaled')
    return reason === failure?.reason || killed(account) || counters?.oomKills ? Effect.STARTED : Effect.COMPLETED
  // Without the agent's word: the launcher's account of a kill proves where it ended, if it had begun, and lived until then.
  return reached === 'started' && killed(account) && reason !== 'AGENT_LOST' ? Effect.STARTED : Effect.UNKNOWN
}

function killed(account: Ending['account']): boolean {
  const reason = account?.reason ?? StopReason.STOP_REASON_UNSPECIFIED
  return (reason !== StopReason.STOP_REASON_UNSPECIFIED && reason !== StopReason.AGENT_LOST) || (account?.oomKills ?? 0) > 0
}

function observedOf({ account, output }: Ending): caisson.v1.IObserved {
  return {
    ...counted(account),
    cpuExceeded: account?.reason === StopReason.CPU_TIME,
    wallExceeded: account?.reason === StopReason.WALL_TIME,
    outputExceeded: output.exceeded,
    agentLost: account?.reason === StopReason.AGENT_LOST,
  }
}

/** What the launcher did not see is not there. */
function counted(account: Ending['account']): caisson.v1.IObserved {
  const { oomKills, pidsDenied, diskFull, memoryLimitHits, memoryOomEvents, pressure } = account ?? {}
  const all = { oomKills, pidsDenied, diskFull, memoryLimitHits, memoryOomEvents, pressure }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value != null))
}

function reportedOf(report: Report | undefined): caisson.v1.IReported {
  if (report?.kind === 'exited') return { exitCode: report.exitCode }
  if (report?.kind === 'signaled') return { signal: report.signal }
  return {}
}

/** What did not happen is not said. */
function reportedInside(counters: Ending['counters']): caisson.v1.IReported {
  const { oomKills, pidsDenied, diskFull } = counters ?? {}
  return { ...(oomKills && { oomKills }), ...(pidsDenied && { pidsDenied }), ...(diskFull && { diskFull }) }
}

function usageOf({ account, counters, output }: Ending): caisson.v1.IUsage {
  return {
    wallUs: account?.wallUs ?? null,
    cpuUserUs: account?.cpuUserUs ?? null,
    cpuSystemUs: account?.cpuSystemUs ?? null,
    // Of a machine the host sees its VMM, which is another matter.
    memoryPeakBytes: (counters ?? account)?.memoryPeakBytes ?? null,
    pidsPeak: (counters ?? account)?.pidsPeak ?? null,
    diskBytes: (counters ?? account)?.diskUsedBytes ?? null,
    outputBytes: output.keptBytes,
  }
}

/** Whether another attempt may follow: only after our failure, and once the program may have run, only where the client allowed it. */
export function mayRetry(verdict: caisson.v1.IVerdict, spec: caisson.v1.IRunSpec): boolean {
  const { blame, retryable } = runReasons[verdict.reason as RunReasonName]
  return blame === 'host' && retryable && (verdict.effect === Effect.NEVER_STARTED || (spec.retryAfterStart ?? false))
}
