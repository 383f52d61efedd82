import type { Result } from './result.js'

const heads = ['id', 'value', 'peer', 'its value', 'ratio', 'goal', '']

export function table(results: readonly Result[]): string {
  const rows = results.map(({ id, value, unit, peer, peerValue, ratio, goal, met }) => [
    id,
    `${value} ${unit}`,
    peer ?? '',
    peerValue === null ? '' : `${peerValue} ${unit}`,
    ratio === null ? '' : String(ratio),
    goal ?? '',
    met === null ? '' : met ? 'met' : 'MISSED',
  ])
  const widths = heads.map((head, column) => Math.max(...[heads, ...rows].map((row) => (row[column] ?? head).length)))
  const line = (cells: string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  return [line(heads), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}
