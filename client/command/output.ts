// Writes what a run says: the program's bytes to stdout and stderr as they are, or one JSON object a line.

import type { Writable } from 'node:stream'
import { eventJson } from '../sdk/json.js'
import type { RunEvent } from '../sdk/model.js'
import { printable } from './table.js'

/** Nobody reads our stdout any more, as when `head` had enough. */
export class BrokenPipe extends Error {
  override readonly name = 'BrokenPipe'
}

/** Resolves when the bytes are out of our hands, so that a slow reader holds the run's output back. */
export function write(stream: Writable, data: Uint8Array | string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(data, (error) => {
      if (!error) return resolve()
      reject('code' in error && error.code === 'EPIPE' ? new BrokenPipe(error.message) : error)
    })
  })
}

export const writeJson = (value: object): Promise<void> => write(process.stdout, `${JSON.stringify(value)}\n`)

export const note = (text: string): void => {
  process.stderr.write(`caisson: ${printable(text)}\n`)
}

export async function writeEvent(event: RunEvent, json: boolean): Promise<void> {
  if (json) return writeJson(eventJson(event))
  if (event.type === 'output') await write(event.stream === 'stdout' ? process.stdout : process.stderr, event.data)
}

/** A failed write is the writer's to handle; without this Node would end the process before it could. */
export function tolerateBrokenPipes(): void {
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
}
