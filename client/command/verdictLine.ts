// A verdict in one line for people.

import type { Verdict } from '../sdk/model.js'
import { showMicros, showSize } from './quantity.js'

export function verdictLine({ outcome, exitCode, signal, effect, message }: Verdict): string {
  const end = exitCode !== undefined ? `exit code ${exitCode}` : signal !== undefined ? `signal ${signal}` : ''
  const code = end === '' || message.includes(end) ? '' : ` (${end})`
  const retry =
    effect === 'NEVER_STARTED' ? '; the program never started' : effect === 'UNKNOWN' ? '; whether it ran is not known' : ''
  return `${outcome}${code}${message === '' ? '' : `: ${message}`}${retry}`
}

export function usageLine({ usage, stages }: Verdict): string {
  const { wallUs, cpuUserUs, cpuSystemUs, memoryPeakBytes, pidsPeak, diskBytes, outputBytes } = usage
  const parts = [
    wallUs !== undefined && `wall ${showMicros(wallUs)}`,
    cpuUserUs !== undefined && `user ${showMicros(cpuUserUs)}`,
    cpuSystemUs !== undefined && `system ${showMicros(cpuSystemUs)}`,
    memoryPeakBytes !== undefined && `memory ${showSize(memoryPeakBytes)}`,
    pidsPeak !== undefined && `pids ${pidsPeak}`,
    diskBytes !== undefined && `disk ${showSize(diskBytes)}`,
    outputBytes !== undefined && `output ${showSize(outputBytes)}`,
  ]
  const { queuedUs, imageUs, sandboxUs, processUs } = stages
  const times = Object.entries({ queued: queuedUs, image: imageUs, sandbox: sandboxUs, process: processUs })
  return `${parts.filter(Boolean).join(', ')} | ${times.map(([name, us]) => `${name} ${showMicros(us)}`).join(', ')}`
}
