// Everything doctor found, for people.

import { printable } from '../command/table.js'
import type { Backend } from './backends.js'
import type { Check } from './check.js'

export interface Report {
  backends: Backend[]
  machine: Check[]
  programs: Check[]
  service: Check[]
  /** What each process of the service is held to. */
  confinement: Check[]
}

export function reportText({ backends, machine, programs, service, confinement }: Report): string {
  const sections: [string, string[]][] = [
    ['Backends', backends.map(backendLine)],
    ['This machine', machine.flatMap(checkLines)],
    ['Programs', programs.flatMap(checkLines)],
    ['Service', service.flatMap(checkLines)],
    ['Held to', confinement.flatMap(checkLines)],
  ]
  return sections.map(([title, lines]) => `${title}\n${lines.map((line) => `  ${printable(line)}\n`).join('')}`).join('\n')
}

function backendLine({ backend, answer, detail, oldestKernel }: Backend): string {
  return `${answer.padEnd(7)} ${backend.padEnd(18)} ${detail}${oldestKernel === '' ? '' : `; needs Linux ${oldestKernel} or newer`}`
}

function checkLines({ answer, name, detail, remedy }: Check): string[] {
  const line = `${answer.padEnd(7)} ${name.padEnd(18)} ${detail}`
  return remedy === undefined ? [line] : [line, `${' '.repeat(27)}do: ${remedy}`]
}
