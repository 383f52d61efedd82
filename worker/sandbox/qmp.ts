// QEMU's control socket: a line of JSON each way. Whoever is behind it may have been taken over by its guest, and is not trusted either.
import { Deferred } from '../deferred.js'
import type { HandedFile, Step } from './vmm.js'

/** QEMU's own answers to what we ask are some hundred bytes. */
const maxLineBytes = 64 * 1024
/** What it says unasked, and nobody has waited for yet. */
const maxEvents = 256

export class QmpError extends Error {
  override readonly name = 'QmpError'
}

/** The launcher hands on what is said, each way. */
export interface Wire {
  tell(data: Buffer, file: HandedFile): void
  hear(listener: (data: Buffer) => void): void
}

type Message = Record<string, unknown>

/** One step after the other. */
export class Qmp {
  readonly #wire: Wire
  readonly #messages: Message[] = []
  readonly #events: Message[] = []
  #rest = ''
  #news: Deferred<void> | undefined
  #error: QmpError | undefined

  constructor(wire: Wire) {
    this.#wire = wire
    wire.hear((data) => this.#take(data))
  }

  /** Resolves with QEMU's version. */
  async greet(): Promise<string> {
    const { QMP } = await this.#next()
    if (QMP === undefined) throw new QmpError('no greeting')
    await this.perform({ execute: 'qmp_capabilities' })
    return versionOf(QMP)
  }

  async perform(step: Step): Promise<void> {
    if ('execute' in step) await this.#execute(step.execute, step.arguments, step.file ?? {})
    else await this.#await(step.event, step.data, step.unless)
  }

  async #execute(execute: string, args: object | undefined, file: HandedFile): Promise<void> {
    const line = JSON.stringify(args ? { execute, arguments: args } : { execute })
    this.#wire.tell(Buffer.from(`${line}\r\n`), file)
    for (;;) {
      const message = await this.#next()
      if (message['error'] !== undefined) throw new QmpError(`${execute}: ${JSON.stringify(message['error']).slice(0, 300)}`)
      if (message['return'] !== undefined) return
      this.#keep(message)
    }
  }

  async #await(event: string, data: Message, unless: Message | undefined): Promise<void> {
    for (;;) {
      const message = this.#events.shift() ?? (await this.#next())
      if (message['event'] !== event) continue
      if (holds(message['data'], data)) return
      if (unless && holds(message['data'], unless))
        throw new QmpError(`${event}: ${JSON.stringify(message['data']).slice(0, 300)}`)
    }
  }

  /** Events may come between a command and its answer. */
  #keep(message: Message): void {
    if (message['event'] === undefined) throw new QmpError('neither an answer nor an event')
    if (this.#events.push(message) > maxEvents) throw new QmpError(`more than ${maxEvents} events`)
  }

  async #next(): Promise<Message> {
    for (;;) {
      if (this.#error) throw this.#error
      const message = this.#messages.shift()
      if (message) return message
      this.#news = new Deferred()
      await this.#news.promise
    }
  }

  #take(data: Buffer): void {
    try {
      this.#rest += data.toString('utf8')
      if (this.#rest.length > maxLineBytes) throw new QmpError(`a line of more than ${maxLineBytes} bytes`)
      const whole = this.#rest.split('\n')
      this.#rest = whole.pop() ?? ''
      this.#messages.push(...whole.map(parse))
      if (this.#messages.length > maxEvents) throw new QmpError(`more than ${maxEvents} messages unread`)
    } catch (error) {
      this.#error = error as QmpError
    }
    this.#news?.resolve()
  }
}

/** "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)": of one line, for it stands in receipts. */
function versionOf(greeting: unknown): string {
  const { qemu, package: made = '' } = fieldsOf(fieldsOf(greeting)['version'])
  const { major, minor, micro } = fieldsOf(qemu)
  const numbers = [major, minor, micro]
  if (!numbers.every(Number.isSafeInteger) || typeof made !== 'string' || !/^[ -~]{0,100}$/.test(made))
    throw new QmpError('a greeting without a version')
  return `${numbers.join('.')}${made && ` (${made})`}`
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

function holds(data: unknown, wanted: Message): boolean {
  const fields = fieldsOf(data)
  return Object.entries(wanted).every(([name, value]) => fields[name] === value)
}

const fieldsOf = (value: unknown) => Object(value) as Message
