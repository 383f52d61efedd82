// QEMU's control socket: a line of JSON each way. Whoever is behind it may have been taken over by its guest, and is not trusted either.
import type { Duplex } from 'node:stream'

/** QEMU's own answers to what we ask are some hundred bytes. */
const maxLineBytes = 64 * 1024

export class QmpError extends Error {
  override readonly name = 'QmpError'
}

/** Resolves when QEMU has set up its machine and lets the guest run. */
export async function shakeHands(control: Duplex, signal: AbortSignal): Promise<void> {
  const answers = lines(control, signal)
  const greeting = await next(answers)
  if (greeting['QMP'] === undefined) throw new QmpError('no greeting')
  await execute(control, answers, 'qmp_capabilities')
  const { running } = (await execute(control, answers, 'query-status')) as { running?: unknown }
  if (running !== true) throw new QmpError('the machine does not run')
}

type Message = Record<string, unknown>

/** Events may come between a command and its answer. */
async function execute(control: Duplex, answers: AsyncGenerator<Message>, command: string): Promise<unknown> {
  control.write(`${JSON.stringify({ execute: command })}\r\n`)
  for (;;) {
    const { return: value, error, event } = await next(answers)
    if (error !== undefined) throw new QmpError(`${command}: ${JSON.stringify(error).slice(0, 300)}`)
    if (value !== undefined) return value
    if (event === undefined) throw new QmpError(`${command}: neither an answer nor an event`)
  }
}

async function next(answers: AsyncGenerator<Message>): Promise<Message> {
  const { value, done } = await answers.next()
  if (done) throw new QmpError('the control socket was closed')
  return value
}

async function* lines(control: Duplex, signal: AbortSignal): AsyncGenerator<Message> {
  let rest = ''
  // The socket stays open when nobody reads on.
  for await (const chunk of control.iterator({ destroyOnReturn: false })) {
    signal.throwIfAborted()
    rest += (chunk as Buffer).toString('utf8')
    if (rest.length > maxLineBytes) throw new QmpError(`a line of more than ${maxLineBytes} bytes`)
    const whole = rest.split('\n')
    rest = whole.pop() ?? ''
    for (const line of whole) yield parse(line)
  }
}

function parse(line: string): Message {
  try {
    const message: unknown = JSON.parse(line)
    if (typeof message === 'object' && message !== null && !Array.isArray(message)) return message as Message
  } catch {
    // Told below.
  }
  throw new QmpError('not a JSON object')
}
