// What an attack's run says about the wall that it ran behind.

import type { BackendName, Outcome, Verdict } from '../sdk/model.js'
import type { Attack } from './corpus.js'

export interface Seen {
  stdout: string
  verdict: Verdict
  /** Another client's run, made while the attack held what it took. */
  neighbour?: { stdout: string; verdict: Verdict }
  /** What the host saw of it that it must not see. */
  harm: string[]
  ms: number
}

export interface Result {
  backend: BackendName
  class: string
  name: string
  answer: 'held' | 'broken' | 'not applicable'
  detail: string
  tries: string
  standsFor: string
  must: string
  outcome?: Outcome
  ms: number
}

export function judge(attack: Attack, backend: BackendName, seen: Seen): Result {
  const { name, tries, standsFor, must } = attack
  const { outcome } = seen.verdict
  const told = verdictLine(seen.stdout)
  const broken = [...seen.harm, ...brokenBy(attack, seen), ...brokenForNeighbour(attack, seen)]
  const common = { backend, class: attack.class, name, tries, standsFor, must, outcome, ms: seen.ms }
  if (broken.length > 0) return { ...common, answer: 'broken', detail: broken.join('; ') }
  if (told?.word === 'not applicable') return { ...common, answer: 'not applicable', detail: told.detail }
  return { ...common, answer: 'held', detail: told?.detail ?? outcome }
}

export function notApplicable(attack: Attack, backend: BackendName): Result {
  const { name, tries, standsFor, must } = attack
  const detail = `it is about ${attack.backends.join(', ')}`
  return { backend, class: attack.class, name, answer: 'not applicable', detail, tries, standsFor, must, ms: 0 }
}

/** The program's own word counts against the wall; for it, only together with an outcome that it should have. */
function brokenBy({ ends, exitCode }: Attack, { stdout, verdict, neighbour }: Seen): string[] {
  const told = verdictLine(stdout)
  if (told?.word === 'broken') return [told.detail]
  // On a busy machine the neighbour may look for longer than the attack may hold.
  if (neighbour && verdict.outcome === 'WALL_TIMEOUT') return []
  if (!ends.includes(verdict.outcome)) return [`the run ended as ${describe(verdict)}, not ${ends.join(' or ')}`]
  if (verdict.outcome === 'EXITED' && verdict.exitCode !== exitCode)
    return [`the run ended as ${describe(verdict)}, not ${exitCode}`]
  if (verdict.outcome === 'EXITED' && !told) return ['the program ended without a word']
  return []
}

function brokenForNeighbour({ holds }: Attack, { stdout, verdict, neighbour }: Seen): string[] {
  if (!holds) return []
  // It was stopped by a limit of its own before it could hold anything.
  if (!neighbour) return verdict.outcome === 'CANCELLED' ? ['it was cancelled, and no neighbour had looked'] : []
  const told = verdictLine(neighbour.stdout)
  const common = facts(stdout).filter((fact) => facts(neighbour.stdout).includes(fact))
  return [
    ...common.map((fact) => `a neighbour has the same: ${fact}`),
    ...(told?.word === 'held' ? [] : [told?.detail ?? `a neighbour's run ended as ${describe(neighbour.verdict)}`]),
  ]
}

/** Other words and bytes may stand before it. */
function verdictLine(stdout: string): { word: Result['answer']; detail: string } | undefined {
  const line = /^(held|broken|not applicable): (.*)$/m.exec(stdout)
  return line ? { word: line[1] as Result['answer'], detail: line[2] ?? '' } : undefined
}

/** An emulated machine's ids are those of its own, as everybody's are. */
const facts = (stdout: string): string[] =>
  [...stdout.matchAll(/^fact: (.*)$/gm)].map(([, fact]) => fact ?? '').filter((fact) => !fact.startsWith('0 0 '))

export const describe = ({ outcome, exitCode, signal, message }: Verdict): string =>
  [outcome, exitCode ?? signal ?? '', message && `(${message})`].filter((part) => part !== '').join(' ')
