// The shapes of `caisson --json`: model.ts, with times as ISO 8601 and bytes as text where they are UTF-8, else as base64.

import { isUtf8 } from 'node:buffer'
import type { CaissonError } from './error.js'
import type { Run, RunEvent, RunSpec } from './model.js'

type Bytes = { text: string } | { base64: string }

function bytesJson(data: Uint8Array): Bytes {
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return isUtf8(buffer) ? { text: buffer.toString('utf8') } : { base64: buffer.toString('base64') }
}

export function eventJson(event: RunEvent): object {
  if (event.type !== 'output') return event
  const { data, ...rest } = event
  return { ...rest, ...bytesJson(data) }
}

export function runJson(run: Run): object {
  return { ...run, spec: specJson(run.spec) }
}

function specJson(spec: RunSpec): object {
  const { stdin, ...rest } = spec
  return stdin === undefined || stdin === 'attach' ? spec : { ...rest, stdin: bytesJson(stdin) }
}

export function errorJson({ code, reason, message, violations }: CaissonError): object {
  return { error: { code, reason, message, violations } }
}
