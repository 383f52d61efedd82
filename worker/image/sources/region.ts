// A file, or a part of one, that may be read again and again and must stay the same all the while.
import type { FileHandle } from 'node:fs/promises'
import { ImageError } from '../failure.js'

const chunkBytes = 256 << 10

/** Tells two states of a file apart. */
export async function identityOf(handle: FileHandle): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await handle.stat({ bigint: true })
  return [dev, ino, size, mtimeNs, ctimeNs].join(':')
}

/** A file that is opened for each use; `open` checks that it may be. */
export class StableFile {
  readonly #open: () => Promise<FileHandle>

  private constructor(
    readonly name: string,
    readonly size: number,
    readonly identity: string,
    open: () => Promise<FileHandle>,
  ) {
    this.#open = open
  }

  static async of(name: string, open: () => Promise<FileHandle>): Promise<StableFile> {
    const handle = await open()
    try {
      return new StableFile(name, Number((await handle.stat()).size), await identityOf(handle), open)
    } finally {
      await handle.close()
    }
  }

  async use<T>(work: (read: Read) => Promise<T>): Promise<T> {
    const handle = await this.#reopen()
    try {
      return await work((offset, length) => this.#read(handle, offset, length))
    } finally {
      await handle.close()
    }
  }

  /** Bytes [offset, offset + size), in pieces. */
  async *stream(offset: number, size: number, signal?: AbortSignal): AsyncGenerator<Buffer, void, void> {
    const handle = await this.#reopen()
    try {
      for (let at = 0; at < size; at += chunkBytes) {
        signal?.throwIfAborted()
        yield await this.#read(handle, offset + at, Math.min(chunkBytes, size - at))
      }
      await this.#checkUnchanged(handle)
    } finally {
      await handle.close()
    }
  }

  async #reopen(): Promise<FileHandle> {
    const handle = await this.#open()
    try {
      await this.#checkUnchanged(handle)
      return handle
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  async #read(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length)
    let filled = 0
    while (filled < length) {
      const { bytesRead } = await handle.read(buffer, filled, length - filled, offset + filled)
      if (bytesRead === 0) throw this.#changed()
      filled += bytesRead
    }
    return buffer
  }

  async #checkUnchanged(handle: FileHandle): Promise<void> {
    if ((await identityOf(handle)) !== this.identity) throw this.#changed()
  }

  #changed(): ImageError {
    return new ImageError('IMAGE_MALFORMED', `${this.name} was changed while it was read`, { field: 'spec.image' })
  }
}

/** Exactly `length` bytes from `offset`; both must lie inside. */
export type Read = (offset: number, length: number) => Promise<Buffer>

/** A named stretch of a file: all of it, or a member of an archive. */
export class Region {
  constructor(
    readonly name: string,
    readonly file: StableFile,
    readonly offset: number,
    readonly size: number,
  ) {}

  async read(limit: number): Promise<Buffer> {
    if (this.size > limit)
      throw new ImageError('IMAGE_TOO_LARGE', `${this.name} has ${this.size} bytes, at most ${limit} are taken`)
    return this.file.use((read) => read(this.offset, this.size))
  }

  stream(signal?: AbortSignal): AsyncIterable<Buffer> {
    return this.file.stream(this.offset, this.size, signal)
  }
}

/** Files by relative name: a folder, or an archive. */
export interface Files {
  /** For messages: the path in the reference. */
  readonly label: string
  open(name: string): Promise<Region | undefined>
}
