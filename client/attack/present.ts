// What the attacks found, for people.

import { printable, shorten, table } from '../command/table.js'
import type { Report } from './attack.js'
import type { Attack } from './corpus.js'
import type { Result } from './judge.js'

const detailLength = 200

export const headline = (corpus: Attack[]): string => `${corpus.length} hostile programs, on every wall that is offered`

export function resultLine({ answer, backend, class: kind, name, detail, ms }: Result): string {
  const place = `${backend.padEnd(9)}  ${kind.padEnd(26)}  ${name.padEnd(20)}`
  return printable(`${answer.padEnd(14)}  ${place}  ${String(ms).padStart(6)} ms  ${shorten(detail, detailLength)}`)
}

export function summary({ held, broken, notApplicable, absent, results }: Report): string {
  const classes = [...new Set(results.map((result) => result.class))]
  const backends = [...new Set(results.map((result) => result.backend))]
  const cell = (backend: string, kind: string) => {
    const these = results.filter((result) => result.backend === backend && result.class === kind)
    const count = (answer: Result['answer']) => these.filter((result) => result.answer === answer).length
    if (count('broken') > 0) return `BROKEN ${count('broken')} of ${these.length}`
    return count('held') === 0 ? 'not applicable' : `held ${count('held')}`
  }
  const rows = classes.map((kind) => [kind, ...backends.map((backend) => cell(backend, kind))])
  return [
    '\n',
    table(['class', ...backends], rows),
    ...absent.map(({ backend, why }) => `${backend}: not attacked: ${printable(why)}\n`),
    ...results.filter(({ answer }) => answer === 'broken').flatMap(brokenLines),
    `${held} held, ${broken} broken, ${notApplicable} not applicable\n`,
  ].join('')
}

function brokenLines({ backend, name, tries, standsFor, must, detail }: Result): string[] {
  const lines = [`tries:      ${tries}`, `stands for: ${standsFor}`, `must be:    ${must}`, `was:        ${detail}`]
  return [`\nBROKEN: ${name} (${backend})\n`, ...lines.map((line) => `  ${printable(line)}\n`), '\n']
}
