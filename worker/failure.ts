// Whatever goes wrong under a run, as one reason of proto/reason.ts. The cause goes to the worker's log, not to the client.
import { Failure } from '../proto/reason.js'
import { ChannelClosed } from './agent/client.js'
import { ProtocolViolation } from './agent/violation.js'
import { LauncherFailed, LauncherLost } from './sandbox/launcher.js'

export function failureOf(cause: unknown): Failure {
  if (cause instanceof Failure) return cause
  if (cause instanceof LauncherFailed) return new Failure('SANDBOX_FAILED', cause.message, { cause })
  if (cause instanceof LauncherLost) return new Failure('LAUNCHER_LOST', cause.message, { cause })
  if (cause instanceof ProtocolViolation)
    return new Failure('AGENT_PROTOCOL', `the agent broke its protocol: ${cause.message}`, { cause })
  if (cause instanceof ChannelClosed) return new Failure('AGENT_LOST', cause.message, { cause })
  return new Failure('INTERNAL', 'internal error of the worker', { cause })
}
