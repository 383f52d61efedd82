// What the kernel and this user may do, as the launcher found out by trying.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { BackendName } from '../sdk/model.js'
import type { Installation } from '../up/installation.js'
import type { Check } from './check.js'
import { no, unknown, yes } from './check.js'
import { remedyOf } from './remedies.js'

/** One line of JSON on stdout of `caisson-launcher probe`. */
export interface Probe {
  kernel: string
  /** In the order to show them. */
  facts: ProbedFact[]
  backends: ProbedBackend[]
}

interface ProbedFact {
  /** "user namespace", "idmapped squashfs" … */
  name: string
  works: boolean
  /** What was found; where it does not work: why, and what that costs. */
  detail: string
}

export interface ProbedBackend {
  name: BackendName
  works: boolean
  /** Why it does not work; empty when it does. */
  reason: string
  /** "6.6"; empty: not known. */
  oldest_kernel: string
}

export async function probeMachine({ launcher }: Installation): Promise<Probe | Error> {
  try {
    const { stdout } = await promisify(execFile)(launcher, ['probe'], { timeout: 30_000 })
    return JSON.parse(stdout)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

export function checkMachine(probe: Probe | Error): Check[] {
  if (probe instanceof Error)
    return [no('launcher', `probe failed: ${probe.message.split('\n')[0]}`, 'npm run build, and run doctor as root')]
  return [yes('kernel', `Linux ${probe.kernel}`), ...probe.facts.map(checkFact)]
}

function checkFact({ name, works, detail }: ProbedFact): Check {
  if (works) return yes(name, detail)
  // Without root much fails that root can do.
  return process.getuid?.() === 0 ? no(name, detail, remedyOf(name)) : unknown(name, detail)
}
