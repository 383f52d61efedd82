// Which specs are the same: those with the same bytes once their maps are in order.
import { createHash } from 'node:crypto'
import { caisson } from '../proto/messages.js'

export function specDigest(spec: caisson.v1.IRunSpec): string {
  const ordered = { ...spec, env: inOrder(spec.env), labels: inOrder(spec.labels) }
  return createHash('sha256').update(caisson.v1.RunSpec.encode(ordered).finish()).digest('hex')
}

function inOrder(map: Record<string, string> | null | undefined): Record<string, string> {
  const entries = Object.entries(map ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries)
}
