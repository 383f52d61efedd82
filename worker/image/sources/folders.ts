// The folders below which the operator allowed images (--images). Whatever leads out of them, by "..", by symlink or by a race, is refused
// in words that do not say whether something is there.
import { constants } from 'node:fs'
import { type FileHandle, open, readlink, realpath } from 'node:fs/promises'
import { posix } from 'node:path'
import { ImageError } from '../failure.js'
import { type Files, Region, StableFile } from './region.js'

/** Nothing of that name is there for us, or nothing that could be an image. */
const absent = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'ENXIO', 'ENODEV', 'EACCES', 'EPERM'])

export class ImageFolders {
  readonly #named: string[]
  readonly #real: string[]

  /** Rejects when one of them does not exist. */
  static async open(paths: string[]): Promise<ImageFolders> {
    return new ImageFolders(paths, await Promise.all(paths.map((path) => realpath(path))))
  }

  private constructor(named: string[], real: string[]) {
    this.#named = named.map((path) => posix.resolve(path))
    this.#real = real
  }

  /** Throws ImageError unless `path` is a regular file inside. */
  async file(path: string): Promise<StableFile> {
    this.#checkLexically(path)
    return (await this.#stable(path, path)) ?? this.#notThere(path)
  }

  /** A folder, whose files are looked for only when they are asked for. */
  folder(path: string): Files {
    this.#checkLexically(path)
    return {
      label: path,
      open: async (name) => {
        const file = await this.#stable(posix.join(path, name), `${name} in ${path}`)
        return file && new Region(file.name, file, 0, file.size)
      },
    }
  }

  /** Undefined in all cases that nobody may tell apart. */
  async #stable(path: string, name: string): Promise<StableFile | undefined> {
    try {
      return await StableFile.of(name, () => this.#open(path))
    } catch (error) {
      if (error instanceof ImageError || absent.has((error as NodeJS.ErrnoException).code ?? '')) return undefined
      throw error
    }
  }

  // Checked after the open, on what was really opened: nothing can be exchanged in between. Non-blocking, or a FIFO would hold us.
  async #open(path: string): Promise<FileHandle> {
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
    try {
      const real = await readlink(`/proc/self/fd/${handle.fd}`)
      if (!this.#real.some((folder) => inside(real, folder))) this.#notThere(path)
      if (!(await handle.stat()).isFile()) this.#notThere(path)
      return handle
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** Paths that do not even look right never reach the file system. */
  #checkLexically(path: string): void {
    const plain = posix.resolve(path)
    if ([...this.#named, ...this.#real].some((folder) => inside(plain, folder))) return
    const message = `spec.image: ${path} is not inside a folder that the worker's operator allowed (--images)`
    throw new ImageError('IMAGE_FOLDER_DENIED', message, { field: 'spec.image' })
  }

  #notThere(path: string): never {
    const message = `spec.image: no readable image at ${path}, or it leads out of the folders that the worker's operator allowed (--images)`
    throw new ImageError('IMAGE_NOT_FOUND', message, { field: 'spec.image' })
  }
}

const inside = (path: string, folder: string): boolean => path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`)
