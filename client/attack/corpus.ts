// The hostile programs, as their own program lists them: each of its source files begins with this.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { BackendName, Limits, Outcome } from '../sdk/model.js'
import type { Installation } from '../up/installation.js'

export interface Attack {
  name: string
  class: string
  tries: string
  /** The incident, or the kind of incident. */
  standsFor: string
  /** What happens behind a wall that holds. */
  must: string
  /** Outcomes that a wall which holds may give its run. */
  ends: Outcome[]
  /** Of a run that exits. */
  exitCode: number
  user: string
  image: 'plain' | 'traps'
  backends: BackendName[]
  /** It says "holding" and waits: meanwhile a neighbour must find all it needs. */
  holds: boolean
  limits: Required<
    Pick<Limits, 'wallMs' | 'cpuMs' | 'cpuMillis' | 'memoryBytes' | 'pids' | 'diskBytes' | 'openFiles' | 'outputBytes'>
  >
}

/** `only`: names of attacks, or words of their classes, with commas between; all without it. */
export async function readCorpus({ attack }: Installation, only?: string): Promise<Attack[]> {
  const { stdout } = await promisify(execFile)(attack, ['list'], { timeout: 10_000 }).catch((cause) => {
    throw new Error(`${attack} cannot be executed: build it with "npm run build"`, { cause })
  })
  const all: Attack[] = JSON.parse(stdout)
  if (only === undefined) return all
  const meant = only.split(',').map((word) => all.filter((one) => one.name === word || one.class.includes(word)))
  const unknown = only.split(',').find((_, index) => meant[index]?.length === 0)
  if (unknown === undefined) return all.filter((one) => meant.some((some) => some.includes(one)))
  const classes = [...new Set(all.map((one) => one.class))].join(', ')
  throw new Error(`no attack is named "${unknown}", and no class has it; classes: ${classes}`)
}
