// The distribution of latencies as an SVG: for each time, the share of runs that took no longer.

import { quantile } from './statistics.js'

const width = 860
const height = 360
const margin = { left: 52, right: 150, top: 34, bottom: 46 }
const colours: Record<string, string> = {
  caisson: '#c2410c',
  bwrap: '#0369a1',
  crun: '#4d7c0f',
  runc: '#7e22ce',
  exec: '#6b7280',
}

const title = '/bin/true, from request to result: share of runs that took no longer'

export function chart(latencies: ReadonlyMap<string, readonly number[]>): string {
  const series = [...latencies].sort(([, a], [, b]) => quantile(a, 0.5) - quantile(b, 0.5))
  const all = series.flatMap(([, values]) => [quantile(values, 0.01), quantile(values, 0.99)])
  const [low, high] = [Math.min(...all) * 0.8, Math.max(...all) * 1.2]
  const x = (ms: number) =>
    margin.left + ((Math.log(ms) - Math.log(low)) / (Math.log(high) - Math.log(low))) * (width - margin.left - margin.right)
  const y = (share: number) => height - margin.bottom - share * (height - margin.top - margin.bottom)
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<title>${title}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${margin.left}" y="20" font-size="14" font-weight="600">${title}</text>`,
    ...ticks(low, high).map((ms) => verticalLine(x(ms), y, ms)),
    ...[0, 0.25, 0.5, 0.75, 1].map((share) => horizontalLine(y(share), share)),
    ...series.map(([who, values]) => curve(values, colours[who] ?? '#000', x, y, low, high)),
    ...series.map(([who, values], i) => legend(who, quantile(values, 0.5), colours[who] ?? '#000', margin.top + 14 + i * 22)),
    `<text x="${(margin.left + width - margin.right) / 2}" y="${height - 8}" text-anchor="middle" fill="#444">milliseconds (logarithmic)</text>`,
    '</svg>',
  ]
  return `${parts.join('\n')}\n`
}

const ticks = (low: number, high: number): number[] =>
  [0.5, 1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500].filter((ms) => ms > low && ms < high)

function verticalLine(at: number, y: (share: number) => number, ms: number): string {
  return `<path d="M${at.toFixed(1)} ${y(0)}V${y(1)}" stroke="#e5e5e5"/><text x="${at.toFixed(1)}" y="${y(0) + 16}" text-anchor="middle" fill="#444">${ms}</text>`
}

function horizontalLine(at: number, share: number): string {
  const end = width - margin.right
  return `<path d="M${margin.left} ${at}H${end}" stroke="#e5e5e5"/><text x="${margin.left - 6}" y="${at + 4}" text-anchor="end" fill="#444">${share * 100} %</text>`
}

function curve(
  values: readonly number[],
  colour: string,
  x: (ms: number) => number,
  y: (share: number) => number,
  low: number,
  high: number,
): string {
  const sorted = values.filter((ms) => ms >= low && ms <= high).toSorted((a, b) => a - b)
  const points = sorted.map((ms, i) => `${x(ms).toFixed(1)},${y((i + 1) / values.length).toFixed(1)}`)
  return `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`
}

function legend(who: string, medianMs: number, colour: string, at: number): string {
  const left = width - margin.right + 14
  return `<path d="M${left} ${at - 4}h18" stroke="${colour}" stroke-width="3"/><text x="${left + 24}" y="${at}">${who} ${medianMs.toFixed(1)} ms</text>`
}
