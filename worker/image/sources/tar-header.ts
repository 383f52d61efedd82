import { ImageError } from '../failure.js'

export const blockBytes = 512

export interface Header {
  type: 'file' | 'link' | 'extension' | 'empty' | 'other'
  /** The type flag as written: "2" symlink, "1" hardlink, "x" pax … */
  flag: string
  name: string
  target: string
  size: number
}

const types: Partial<Record<string, Header['type']>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  '1': 'link',
  '2': 'link',
  '3': 'empty',
  '4': 'empty',
  '5': 'empty',
  '6': 'empty',
  L: 'extension',
  K: 'extension',
  x: 'extension',
  g: 'extension',
}

export const emptyBlock = (block: Buffer): boolean => block.every((byte) => byte === 0)

export function parseHeader(block: Buffer, at: number): Header {
  if (!checksumHolds(block)) refuse(at, compressed(block) ? 'it is compressed, and must be a plain tar' : 'bad checksum')
  const flag = String.fromCharCode(block[156] ?? 0)
  if (flag === 'S') refuse(at, 'sparse members are not supported')
  const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? text(block, 345, 500) : ''
  const name = text(block, 0, 100)
  return {
    type: types[flag] ?? 'other',
    flag,
    name: prefix === '' ? name : `${prefix}/${name}`,
    target: text(block, 157, 257),
    size: number(block.subarray(124, 136), at),
  }
}

/** Records "LENGTH KEY=VALUE\n", of which three keys matter here. */
export function parsePax(data: Buffer, at: number): { name?: string; target?: string; size?: number } {
  const found: { name?: string; target?: string; size?: number } = {}
  for (let start = 0; start < data.length; ) {
    const space = data.indexOf(0x20, start)
    const length = /^[1-9][0-9]{0,6}$/.exec(data.toString('latin1', start, Math.max(start, Math.min(space, start + 8))))
    const end = start + Number(length?.[0] ?? 0)
    const equals = data.indexOf(0x3d, space)
    if (!length || end > data.length || equals < 0 || equals >= end || data[end - 1] !== 0x0a) refuse(at, 'bad pax record')
    const key = data.toString('utf8', space + 1, equals)
    const value = data.toString('utf8', equals + 1, end - 1)
    if (key.startsWith('GNU.sparse.')) refuse(at, 'sparse members are not supported')
    if (key === 'path') found.name = value
    if (key === 'linkpath') found.target = value
    if (key === 'size') found.size = decimal(value, at)
    start = end
  }
  return found
}

function checksumHolds(block: Buffer): boolean {
  const claimed = Number.parseInt(text(block, 148, 156).trim(), 8)
  let sum = 0
  // The checksum's own field counts as spaces.
  for (let at = 0; at < blockBytes; at++) sum += at >= 148 && at < 156 ? 0x20 : (block[at] ?? 0)
  return sum === claimed
}

const compressed = (block: Buffer): boolean =>
  block.readUInt16BE(0) === 0x1f8b || block.readUInt32BE(0) === 0x28b52ffd || block.readUInt32BE(0) === 0xfd377a58

/** Octal text, or, with the top bit set, a big-endian number. */
function number(field: Buffer, at: number): number {
  if (field[0] === 0x80) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0)
    return Number.isSafeInteger(value) ? value : refuse(at, 'bad size')
  }
  const digits = field
    .toString('latin1')
    .replace(/[\0 ]+$/, '')
    .trimStart()
  if (digits === '') return 0
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : refuse(at, 'bad size')
}

function decimal(value: string, at: number): number {
  const size = /^[0-9]{1,15}$/.test(value) ? Number(value) : refuse(at, 'bad size')
  return size
}

function text(block: Buffer, from: number, to: number): string {
  const end = block.indexOf(0, from)
  return block.toString('utf8', from, end < 0 || end > to ? to : end)
}

function refuse(at: number, what: string): never {
  throw new ImageError('IMAGE_MALFORMED', `the archive is not readable as tar, at byte ${at}: ${what}`)
}
