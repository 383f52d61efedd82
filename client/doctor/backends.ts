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

/** Only a guest that boots is an answer, and booting one is the worker's. */
const askWorker = 'a worker boots a guest to find out: see its line below'

export function judgeBackends(probe: Probe | Error, programs: readonly Check[]): Backend[] {
  const missing = programs.filter(({ answer }) => answer === 'no').map(({ name }) => name)
  return probe instanceof Error
    ? [{ backend: 'container', answer: 'unknown', detail: 'the launcher could not tell', oldestKernel: '' } as const]
    : probe.backends.map((backend) => judge(backend, missing))
}

/** A backend needs the programs too. */
function judge({ name, works, reason, oldest_kernel }: ProbedBackend, missing: string[]): Backend {
  const known = { backend: name, oldestKernel: oldest_kernel }
  // Without root much fails that root can do.
  if (!works && process.getuid?.() !== 0) return { ...known, answer: 'unknown', detail: 'only root can tell' }
  if (works && name === 'microvm') return { ...known, answer: 'unknown', detail: askWorker }
  const reasons = [reason, missing.length > 0 ? `missing: ${missing.join(', ')}` : ''].filter(Boolean)
  return { ...known, answer: reasons.length === 0 ? 'yes' : 'no', detail: reasons.join('; ') || 'ready' }
}
