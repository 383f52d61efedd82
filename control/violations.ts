// What is wrong with the fields of a request, put together by the validators. Pure.
import type { Violation } from '../proto/reason.js'

export const violation = (field: string, description: string): Violation => ({ field, description })
/** Descriptions are made only for what is wrong: nearly every request is right. */
export const when = (wrong: boolean, field: string, description: string | (() => string)) =>
  wrong ? [violation(field, typeof description === 'string' ? description : description())] : []
export const bytes = (text: string) => Buffer.byteLength(text)
export const number = (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: 0 })
export const hasControl = (text: string) => /[\p{Cc}\p{Cs}]/u.test(text)

export function range(field: string, value: number | null | undefined, least: number, most: number): Violation[] {
  if (value === null || value === undefined || (value >= least && value <= most)) return []
  return [violation(field, `is ${number(value)}, must be ${number(least)} to ${number(most)}`)]
}
