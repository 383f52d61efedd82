// Trying again: with growing pauses, or after as long as the registry asks for, within bounds.
import { setTimeout as delay } from 'node:timers/promises'
import { Passing } from './failures.js'
import type { Patience } from './options.js'

export async function retrying<T>(patience: Patience, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof Passing)) throw error
      await pause(error, tried, patience, signal)
    }
  }
}

/** Throws what it is in the end when there is no use in waiting. */
export async function pause(error: Passing, tried: number, patience: Patience, signal: AbortSignal): Promise<void> {
  const { tries, firstDelayMs, mostRetryAfterMs } = patience
  const waitMs = error.retryAfterMs ?? firstDelayMs * 2 ** (tried - 1) * (0.75 + Math.random() / 2)
  if (tried >= tries || waitMs > mostRetryAfterMs) throw error.final
  await delay(waitMs, undefined, { signal }).catch(() => {
    throw signal.reason
  })
}

/** Seconds, or a date. Undefined: neither. */
export function retryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000
  const at = /^[A-Z][a-z]{2}, /.test(header) ? Date.parse(header) : Number.NaN
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs)
}
