// model.ts → wire messages. Ranges are not checked here: the service does, and names field and limit. Only what the wire could not carry
// is refused here, in the service's own form.

import { caisson } from '../../proto/messages.js'
import { CaissonError, type Violation } from './error.js'
import type { RunSpec, State } from './model.js'

export function writeSpec(spec: RunSpec): caisson.v1.IRunSpec {
  const { args, entrypoint, env, labels, stdin, isolation, pull, limits, capabilities, ...same } = spec
  refuseFractions(spec)
  return {
    ...same,
    args: [...(args ?? [])],
    ...(entrypoint && { entrypoint: { words: [...entrypoint] } }),
    env: { ...env },
    labels: { ...labels },
    ...(stdin === 'attach' && { stdinAttach: true }),
    ...(stdin !== undefined && stdin !== 'attach' && { stdinInline: stdin }),
    limits: { ...limits },
    capabilities: [...(capabilities ?? [])],
    ...(pull && { pull: caisson.v1.Pull[pull] }),
    ...(isolation && { isolation: caisson.v1.Isolation[isolation] }),
  }
}

export const writeState = (state: State): caisson.v1.State => caisson.v1.State[state]

function refuseFractions({ limits, priority, startWithinMs, retentionMs }: RunSpec): void {
  const numbers: Record<string, number | undefined> = { priority, start_within_ms: startWithinMs, retention_ms: retentionMs }
  for (const [name, value] of Object.entries(limits ?? {})) numbers[`limits.${snake(name)}`] = value
  const violations = Object.entries(numbers)
    .filter(([, value]) => value !== undefined && !Number.isSafeInteger(value))
    .map(([name, value]): Violation => ({ field: `spec.${name}`, description: `must be a whole number below 2^53, is ${value}` }))
  if (violations.length === 0) return
  const message = violations.map(({ field, description }) => `${field} ${description}`).join('; ')
  throw new CaissonError('INVALID_ARGUMENT', message, { reason: 'INVALID_FIELD', violations })
}

const snake = (camel: string): string => camel.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
