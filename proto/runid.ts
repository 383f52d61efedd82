// Run ids sort by time of submission: "r", nine digits of milliseconds since 1970 and sixteen of random, in base 36.
import { randomBytes } from 'node:crypto'

const digits = '0123456789abcdefghijklmnopqrstuvwxyz'
const timeDigits = 9
const randomDigits = 16
const pattern = /^r[0-9a-z]{25}$/

export function newRunId(nowMs: number): string {
  return `r${Math.floor(nowMs).toString(36).padStart(timeDigits, '0')}${randomText()}`
}

export const isRunId = (text: string): boolean => pattern.test(text)

/** When the run was submitted, by the clock of the control that took it. */
export const runIdTime = (runId: string): number => Number.parseInt(runId.slice(1, 1 + timeDigits), 36)

function randomText(): string {
  let text = ''
  while (text.length < randomDigits) {
    for (const byte of randomBytes(randomDigits + 4)) {
      // 252 is the last multiple of 36 in a byte: beyond it the first digits would be more likely.
      if (byte < 252 && text.length < randomDigits) text += digits[byte % 36]
    }
  }
  return text
}
