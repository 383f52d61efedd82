// Shows a run while it goes on, to its verdict: what `run` and `watch` have in common.

import type { FollowedRun } from '../sdk/followed.js'
import type { RunEvent, Verdict } from '../sdk/model.js'
import { note, writeEvent } from './output.js'
import { ProgressLine } from './progress.js'
import { usageLine, verdictLine } from './verdictLine.js'

export interface PresentFlags {
  json?: boolean
  verbose?: boolean
}

/** `see` hears of every event before it is shown. */
export async function present(
  followed: FollowedRun,
  flags: PresentFlags,
  see: (event: RunEvent) => void = () => {},
): Promise<Verdict> {
  const progress = new ProgressLine(process.stderr)
  try {
    for await (const event of followed) {
      see(event)
      if (!flags.json) progress.see(event)
      if (!flags.json) explain(event, flags)
      await writeEvent(event, flags.json ?? false)
    }
  } finally {
    progress.clear()
  }
  return followed.verdict()
}

function explain(event: RunEvent, { verbose }: PresentFlags): void {
  if (event.type === 'state' && (verbose || (event.attempt > 1 && event.state === 'QUEUED'))) {
    const where = event.placement ? ` on ${event.placement.workerId} (${event.placement.backend})` : ''
    note(`${event.runId} ${event.state}${where}${event.message ? `: ${event.message}` : ''}`)
  }
  if (event.type === 'truncated') note(`output beyond ${event.limitBytes} bytes was dropped`)
  if (event.type !== 'verdict') return
  if (verbose || event.verdict.outcome !== 'EXITED') note(verdictLine(event.verdict))
  if (verbose) note(usageLine(event.verdict))
}
