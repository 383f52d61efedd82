// What the service's processes and the supervisor say, on stderr: for people with the speaker's name before each line, else (not a
// terminal) one JSON object a line.

import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'

export class Log {
  constructor(
    private readonly out: Writable,
    private readonly style: 'people' | 'json',
  ) {}

  /** The supervisor's own word about a process. */
  say(part: string, message: string): void {
    this.#write(part, message, (time) => ({ time, level: 'info', part: 'up', message: `${part} ${message}` }))
  }

  /** A line that a process wrote; a JSON object stays one. */
  pass(part: string, line: string): void {
    if (line === '') return
    if (this.style === 'json' && line.startsWith('{"') && line.endsWith('}')) {
      this.out.write(`{"part":${JSON.stringify(part)},${line.slice(1)}\n`)
    } else {
      this.#write(part, line, (time) => ({ time, level: 'info', part, message: line }))
    }
  }

  #write(part: string, text: string, json: (time: string) => object): void {
    const line = this.style === 'json' ? JSON.stringify(json(new Date().toISOString())) : `${part.padEnd(8)} | ${text}`
    this.out.write(`${line}\n`)
  }
}

export function onLines(stream: Readable, handle: (line: string) => void): void {
  createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', handle)
}
