// The worker's own log: one JSON object a line on stderr.
type Details = Record<string, string | number | boolean | undefined>

export interface Log {
  info(message: string, details?: Details): void
  error(message: string, cause: unknown, details?: Details): void
}

export const log: Log = {
  info: (message, details) => write('info', message, details),
  error: (message, cause, details) => write('error', message, { ...details, cause: textOf(cause) }),
}

function write(level: string, message: string, details: Details = {}): void {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...details })}\n`)
}

/** The whole chain of causes: what the client is not told stands here. */
function textOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const own = cause.stack ?? cause.message
  return cause.cause === undefined ? own : `${own}\ncaused by: ${textOf(cause.cause)}`
}
