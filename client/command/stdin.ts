// Passes this process's standard input on to a run.

import { createReadStream, fstatSync } from 'node:fs'
import type { Caisson } from '../sdk/caisson.js'
import { CaissonError } from '../sdk/error.js'

const readBytes = 256 << 10

// Major 1, minor 3, on every Linux.
const nullDevice = 0x103

/** False for /dev/null, to which Node also opens an input that was closed: then the program gets /dev/null of its own. */
export function hasInput(): boolean {
  const stat = fstatSync(0)
  return !(stat.isCharacterDevice() && stat.rdev === nullDevice)
}

/** Resolves when all input is recorded, or the program wants no more of it. */
export async function passInput(caisson: Caisson, runId: string, signal: AbortSignal): Promise<void> {
  const input = caisson.attach(runId, { signal })
  try {
    for await (const data of open(signal)) await input.write(data)
    await input.end()
  } catch (error) {
    if (!signal.aborted && !isUnwanted(error)) throw error
  } finally {
    input.close()
  }
}

/** A terminal or pipe is read as it comes, a file in large steps. */
function open(signal: AbortSignal): AsyncIterable<Buffer> {
  return fstatSync(0).isFile()
    ? createReadStream('', { fd: 0, autoClose: false, highWaterMark: readBytes, signal })
    : process.stdin
}

/** The run ended while its input was still coming, as a local program may. */
function isUnwanted(error: unknown): boolean {
  return error instanceof CaissonError && (error.reason === 'RUN_ENDED' || error.reason === 'RUN_NOT_FOUND')
}
