// Columns that line up. What comes from images and clients is data: control characters of it never reach the terminal.

export function table(head: string[], rows: string[][]): string {
  const lines = [head, ...rows.map((row) => row.map(printable))]
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  const padded = lines.map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
  return padded.map((line) => `${line.trimEnd()}\n`).join('')
}

export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]/gu, '·')

export const shorten = (text: string, most: number): string => (text.length <= most ? text : `${text.slice(0, most - 1)}…`)
