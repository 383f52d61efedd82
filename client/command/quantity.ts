// Sizes, durations and the like, as people write them, to the API's units. Throws what commander prints with the flag's name.

import { InvalidArgumentError } from 'commander'

const sizes: Record<string, number> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 }
const durations: Record<string, number> = { ms: 1, s: 1000, '': 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** "268435456", "256M", "1.5GiB" → bytes; the units are powers of 1,024. */
export function parseSize(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([kmgt]?)(?:i?b)?$/i.exec(text) ?? []
  if (number === undefined) throw new InvalidArgumentError('Write a size as 4096, 64K, 256M or 1.5G.')
  return whole(Number(number) * (sizes[unit?.toLowerCase() ?? ''] ?? 1), 'bytes')
}

/** "90", "1.5s", "250ms", "2m", "1h", "7d" → milliseconds; a bare number is seconds. */
export function parseDuration(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|)$/.exec(text) ?? []
  if (number === undefined) throw new InvalidArgumentError('Write a duration as 90 (seconds), 250ms, 1.5s, 2m, 1h or 7d.')
  return whole(Number(number) * (durations[unit ?? ''] ?? 1), 'milliseconds')
}

/** "1.5" cores → 1,500. */
export function parseCores(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError('Write a number of cores as 2 or 0.5.')
  return whole(Number(text) * 1000, 'thousandths of a core')
}

export function parseCount(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Write a whole number.')
  return whole(Number(text), 'units')
}

/** "NAME=VALUE", collected over several flags; the last one of a name wins. */
export function collectPair(text: string, pairs: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('Write it as NAME=VALUE.')
  return { ...pairs, [text.slice(0, at)]: text.slice(at + 1) }
}

/** As collectPair, and NAME alone passes on this process's own value. */
export function collectEnv(text: string, pairs: Record<string, string> = {}): Record<string, string> {
  if (text.includes('=')) return collectPair(text, pairs)
  const value = process.env[text]
  return value === undefined ? pairs : { ...pairs, [text]: value }
}

export const collectWord = (word: string, words: string[] = []): string[] => [...words, word]

function whole(value: number, unit: string): number {
  const rounded = Math.round(value)
  if (!Number.isSafeInteger(rounded)) throw new InvalidArgumentError(`That is too many ${unit}.`)
  return rounded
}

export function showSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = bytes < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** power
  return `${Number(value.toFixed(value < 10 ? 1 : 0))} ${units[power]}`
}

export function showMicros(us: number): string {
  if (us < 1000) return `${us} µs`
  if (us < 1e6) return `${Number((us / 1e3).toFixed(us < 1e4 ? 2 : 1))} ms`
  if (us < 120e6) return `${Number((us / 1e6).toFixed(2))} s`
  return us < 7200e6 ? `${Math.round(us / 60e6)} min` : `${Number((us / 3600e6).toFixed(1))} h`
}
