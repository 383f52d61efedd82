// A call of a script as ioredis sends it, but that what is large is sent from where it lies.
import type { Writable } from 'node:stream'
import { Command } from 'ioredis'

/** A value in several pieces. They stay as they are until the call is answered: after a lost connection it is sent again. */
export class Gathered {
  readonly length: number

  constructor(readonly parts: readonly Buffer[]) {
    this.length = parts.reduce((sum, { length }) => sum + length, 0)
  }
}

/** Less is quicker copied than sent in pieces. */
const leastGathered = 16 * 1024

export type Argument = string | number | Uint8Array | Gathered

export class ScriptCommand extends Command {
  readonly #gathered = new Map<number, Gathered>()

  constructor(sha: string, keys: readonly string[], args: readonly Argument[]) {
    const before = [sha, keys.length, ...keys]
    super('evalsha', [...before, ...args.map(whole)])
    for (const [index, argument] of args.entries())
      if (argument instanceof Gathered && argument.length >= leastGathered) this.#gathered.set(before.length + index, argument)
  }

  /** ioredis writes the answer, right behind what was written here; one system call takes all of it. */
  override toWritable(socket: Writable): string | Buffer {
    if (this.#gathered.size === 0) return super.toWritable(socket)
    socket.cork()
    process.nextTick(() => socket.uncork())
    let text = `*${this.args.length + 1}\r\n$${this.name.length}\r\n${this.name}\r\n`
    for (const [index, argument] of this.args.entries()) {
      const { length, parts } = this.#gathered.get(index) ?? new Gathered([asWritten(argument)])
      socket.write(`${text}$${length}\r\n`)
      for (const part of parts) socket.write(part)
      text = '\r\n'
    }
    return text
  }
}

/** As ioredis takes it. */
function whole(argument: Argument): string | number | Buffer {
  if (argument instanceof Gathered) return argument.length < leastGathered ? Buffer.concat(argument.parts) : ''
  if (!(argument instanceof Uint8Array)) return argument
  return Buffer.from(argument.buffer, argument.byteOffset, argument.byteLength)
}

/** ioredis makes strings of what is not a Buffer. */
const asWritten = (argument: unknown): Buffer => (Buffer.isBuffer(argument) ? argument : Buffer.from(String(argument)))
