// Which walls this machine can build.

import type { BackendName } from '../sdk/model.js'
import type { Check } from './check.js'
import type { Probe, ProbedBackend } from './machine.js'

export interface Backend {
  backend: BackendName
  answer: Check['answer']
  /** Why not, where it is not. */
  detail: string
  /** "6.6"; empty: not known. */
  oldestKernel: string
}

const microvm: Backend = { backend: 'microvm', answer: 'no', detail: 'not part of this version', oldestKernel: '' }

export function judgeBackends(probe: Probe | Error, programs: readonly Check[]): Backend[] {
  const missing = programs.filter(({ answer }) => answer === 'no').map(({ name }) => name)
  const container =
    probe instanceof Error
      ? [{ backend: 'container', answer: 'unknown', detail: 'the launcher could not tell', oldestKernel: '' } as const]
      : probe.backends.map((backend) => judge(backend, missing))
  return [...container, microvm]
}

/** A backend needs the programs too. */
function judge({ name, works, reason, oldest_kernel }: ProbedBackend, missing: string[]): Backend {
  const known = { backend: name, oldestKernel: oldest_kernel }
  // Without root much fails that root can do.
  if (!works && process.getuid?.() !== 0) return { ...known, answer: 'unknown', detail: 'only root can tell' }
  const reasons = [reason, missing.length > 0 ? `missing: ${missing.join(', ')}` : ''].filter(Boolean)
  return { ...known, answer: reasons.length === 0 ? 'yes' : 'no', detail: reasons.join('; ') || 'ready' }
}
