// A receipt for people: a line for each fact. Its worker wrote it, and who that was is not certain: nothing of it reaches the terminal as it is.

import type { Statement } from '../../../proto/receipt.js'
import { printable } from '../table.js'

export function describe({ subject, predicate }: Statement): string {
  const lines = [...subject.map(({ name, digest }) => [`subject ${name}`, `sha256:${digest.sha256}`]), ...flat('', predicate)]
  const width = Math.max(...lines.map(([name = '']) => name.length)) + 2
  return lines.map(([name = '', value = '']) => `${printable(name).padEnd(width)}${printable(value)}\n`).join('')
}

function flat(path: string, value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [[path, String(value)]]
  const inner = Object.entries(value).map(([name, field]) => flat(Array.isArray(value) ? path : `${path} ${name}`.trim(), field))
  return inner.flat()
}
