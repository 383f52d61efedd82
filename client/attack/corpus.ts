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

/** `only`: a word of the attack's name or class; all without it. */
export async function readCorpus({ attack }: Installation, only?: string): Promise<Attack[]> {
  const { stdout } = await promisify(execFile)(attack, ['list'], { timeout: 10_000 }).catch((cause) => {
    throw new Error(`${attack} cannot be executed: build it with "npm run build"`, { cause })
  })
  const all: Attack[] = JSON.parse(stdout)
  const chosen = only === undefined ? all : all.filter((one) => one.name === only || one.class.includes(only))
  if (chosen.length > 0) return chosen
  const classes = [...new Set(all.map((one) => one.class))].join(', ')
  throw new Error(`no attack is named "${only}", and no class has it; classes: ${classes}`)
}
