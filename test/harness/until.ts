import { setTimeout as sleep } from 'node:timers/promises'
import { slowness } from './slowness.js'

/** Asks until the answer is true; what it throws ends it at once. */
export async function until(what: string, limitMs: number, holds: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + limitMs * slowness
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within ${limitMs * slowness} ms: ${what}`)
    await sleep(50)
  }
}
