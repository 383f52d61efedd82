// What a guest said last on its console, for the worker's own log: of a machine whose operator debugs it (--debug).
import { type FileHandle, open } from 'node:fs/promises'

const tailBytes = 4096

/** The cause of other errors, as far as their guest knew. Where in here it was read is no news. */
class SaidLast extends Error {
  override readonly name = 'SaidLast'

  constructor(message: string) {
    super(message)
    this.stack = `${this.name}: ${message}`
  }
}

export class GuestConsole {
  constructor(readonly path: string) {}

  /** The same error, whose last cause is now what the guest said. */
  async explain<E>(error: E): Promise<E> {
    const last = lastCause(error)
    if (last && !(last instanceof SaidLast)) last.cause = new SaidLast(await this.#lastWords())
    return error
  }

  async #lastWords(): Promise<string> {
    try {
      await using file = await open(this.path)
      const tail = await tailOf(file)
      return tail
        ? `the guest's console, ${this.path}, ends with:\n${tail}`
        : `nothing stands in ${this.path}, the guest's console`
    } catch (error) {
      return `the guest's console cannot be read: ${(error as Error).message}`
    }
  }
}

async function tailOf(file: FileHandle): Promise<string> {
  const { size } = await file.stat()
  const { buffer, bytesRead } = await file.read(Buffer.alloc(tailBytes), 0, tailBytes, Math.max(0, size - tailBytes))
  return buffer.toString('latin1', 0, bytesRead)
}

function lastCause(error: unknown): Error | undefined {
  if (!(error instanceof Error)) return undefined
  return error.cause === undefined ? error : lastCause(error.cause)
}
