// Whatever reads what comes from outside, each with good input to begin from, the one error that it may throw, and what must be true of what
// it takes.

import { channels } from './channels.js'
import { documents } from './documents.js'

export interface Target {
  seeds: Buffer[]
  parse(bytes: Buffer): void | Promise<void>
  mayThrow: new (...args: never[]) => Error
}

export type Targets = Record<string, Target>

export async function targets(): Promise<Targets> {
  return { ...(await documents()), ...channels() }
}
