// Names of system calls, with the numbers of those that x86-64 has (syscalls.json).
import { readFileSync } from 'node:fs'

interface Names {
  x86_64: Record<string, number>
  others: string[]
}

// dist/proto/ → proto/
const { x86_64, others }: Names = JSON.parse(readFileSync(new URL('../../proto/syscalls.json', import.meta.url), 'utf8'))
const numbers = new Map<string, number | undefined>([
  ...others.map((name) => [name, undefined] as const),
  ...Object.entries(x86_64),
])

export const isCallName = (name: string): boolean => numbers.has(name)

/** Undefined: no call of x86-64. */
export const callNumber = (name: string): number | undefined => numbers.get(name)
