// Which specs are the same: SHA-256 of the spec as protobuf encodes it deterministically, that is fields by number, maps by key, and what
// equals its default left out. Any language's library can do that: SerializeToString(deterministic=True), MarshalOptions{Deterministic: true}.
import { createHash } from 'node:crypto'
import { caisson } from './messages.js'

export function specDigest(spec: caisson.v1.IRunSpec): string {
  return createHash('sha256')
    .update(caisson.v1.RunSpec.encode(ordered(spec) as caisson.v1.IRunSpec).finish())
    .digest('hex')
}

function ordered(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  if (Array.isArray(value)) return value.map(ordered)
  // The prototype of a decoded message holds the defaults of its fields; where presence counts, that is null.
  const defaults: Record<string, unknown> = Object.getPrototypeOf(value) ?? {}
  const entries = Object.entries(value).filter(([name, field]) => field !== defaults[name])
  return Object.fromEntries(entries.sort(([a], [b]) => inBytes(a, b)).map(([name, field]) => [name, ordered(field)]))
}

const inBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
