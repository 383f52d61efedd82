// Control's own log: one JSON object a line on stderr.

export function info(message: string, details: Record<string, unknown> = {}): void {
  write('info', message, details)
}

export function error(message: string, cause: unknown, details: Record<string, unknown> = {}): void {
  write('error', message, { ...details, cause: textOf(cause) })
}

function write(level: string, message: string, details: Record<string, unknown>): void {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...details })}\n`)
}

/** The whole chain of causes: what the client is not told stands here. */
function textOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const own = cause.stack ?? cause.message
  return cause.cause === undefined ? own : `${own}\ncaused by: ${textOf(cause.cause)}`
}
