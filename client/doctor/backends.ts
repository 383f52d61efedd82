// Which walls this machine can build.

import type { BackendName } from '../sdk/model.js'
import type { Check } from './check.js'
import type { Probe } from './machine.js'

export interface Backend {
  backend: BackendName
  answer: Check['answer']
  /** Why not, where it is not. */
  detail: string
  /** "6.6"; empty: not known. */
  oldestKernel: string
}

/** A backend needs the programs too: their first 'no' is its reason. */
export function judgeBackends(probe: Probe | Error, programs: readonly Check[]): Backend[] {
  if (probe instanceof Error)
    return [{ backend: 'container', answer: 'unknown', detail: 'the launcher could not tell', oldestKernel: '' }]
  const missing = programs.filter(({ answer }) => answer === 'no').map(({ name }) => name)
  return probe.backends.map(({ name, works, reason, oldest_kernel }) => {
    if (!works && process.getuid?.() !== 0)
      return { backend: name, answer: 'unknown', detail: `${reason}; ask as root`, oldestKernel: oldest_kernel }
    const why = [reason, missing.length > 0 ? `missing: ${missing.join(', ')}` : ''].filter(Boolean).join('; ')
    return {
      backend: name,
      answer: works && missing.length === 0 ? 'yes' : 'no',
      detail: why || 'ready',
      oldestKernel: oldest_kernel,
    }
  })
}
