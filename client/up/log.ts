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
      this.#write(part, readable(line), (time) => ({ time, level: 'info', part, message: line }))
    }
  }

  #write(part: string, text: string, json: (time: string) => object): void {
    const line = this.style === 'json' ? JSON.stringify(json(new Date().toISOString())) : `${part.padEnd(8)} | ${text}`
    this.out.write(`${line}\n`)
  }
}

/** A log line in JSON, as people read it: what is unusual first, fields after the message, the time not at all. */
function readable(line: string): string {
  if (!line.startsWith('{"')) return line
  try {
    const { time: _, level, message, ...fields }: Record<string, unknown> = JSON.parse(line)
    const shown = Object.entries(fields).map(
      ([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    )
    return `${level === 'info' ? '' : `${level}: `}${message}${shown.join('')}`
  } catch {
    return line
  }
}

export function onLines(stream: Readable, handle: (line: string) => void): void {
  createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', handle)
}
