// How a failure of our own is told.

import { defaultAddress } from '../sdk/address.js'
import { CaissonError } from '../sdk/error.js'
import { errorJson } from '../sdk/json.js'
import { printable } from './table.js'

export function tellFailure(error: unknown, json: boolean): void {
  const ours = error instanceof CaissonError ? error : new CaissonError('UNKNOWN', describe(error))
  process.stderr.write(json ? `${JSON.stringify(errorJson(ours))}\n` : `caisson: ${describe(error)}\n`)
}

function describe(error: unknown): string {
  if (!(error instanceof CaissonError)) return error instanceof Error ? error.message : String(error)
  const { code, reason, message, violations } = error
  const known = violations.filter(({ field }) => !message.includes(field))
  const lines = [`${message} (${reason || code})`, ...known.map(({ field, description }) => `  ${field}: ${description}`)]
  if (code === 'UNAVAILABLE' && reason === '')
    lines.push(`  is it running? start it with: caisson up (as root; it listens on ${defaultAddress})`)
  return lines.map(printable).join('\n')
}
