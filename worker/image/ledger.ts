// What references of registries stood for when they were last asked, on disk: so that a worker that was started again still has its images
// without asking anybody. Only what anybody could fetch is written here; each file is replaced as a whole.
import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PreparedImage } from './images.js'

export interface Entry {
  reference: string
  /** What the reference stood for: the digest of an index, or of the manifest itself. */
  topDigest: string
  image: PreparedImage
}

/** Of Entry's form: what another version wrote is not read. */
const version = 2
const maxEntries = 10_000

const isEntry = (name: string) => name.endsWith('.json')

export class Ledger {
  private constructor(readonly folder: string) {}

  static async open(folder: string): Promise<Ledger> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const ledger = new Ledger(folder)
    await ledger.#tidy()
    return ledger
  }

  /** Undefined: nothing is known, or what is written cannot be read, and the registry will tell. */
  async read(reference: string): Promise<Entry | undefined> {
    const entry = await this.#readFile(this.#path(reference))
    return entry?.reference === reference ? entry : undefined
  }

  async entries(): Promise<Entry[]> {
    const names = (await readdir(this.folder)).filter(isEntry)
    const entries: (Entry | undefined)[] = []
    // One after another: there may be thousands, and nobody is in a hurry.
    for (const name of names) entries.push(await this.#readFile(join(this.folder, name)))
    return entries.filter((entry) => entry !== undefined)
  }

  async remove(reference: string): Promise<void> {
    await rm(this.#path(reference), { force: true })
  }

  async #readFile(path: string): Promise<Entry | undefined> {
    try {
      const written = JSON.parse(await readFile(path, 'utf8'))
      return written.version === version && typeof written.entry.reference === 'string' ? written.entry : undefined
    } catch (error) {
      const isUnreadable = error instanceof SyntaxError || error instanceof TypeError
      if (isUnreadable || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  /** What cannot be written now will be asked again by the next worker: no run fails for it. */
  async write(entry: Entry): Promise<void> {
    const path = this.#path(entry.reference)
    const unfinished = `${path}.${randomUUID()}`
    try {
      await writeFile(unfinished, JSON.stringify({ version, entry }))
      await rename(unfinished, path)
    } catch (error) {
      await rm(unfinished, { force: true })
      // The disk is full, or another worker that has just started took it for one that a crash left.
      if (!['ENOSPC', 'EDQUOT', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  }

  #path(reference: string): string {
    return join(this.folder, `${createHash('sha256').update(reference).digest('hex')}.json`)
  }

  /** What a crash left unfinished, and the oldest of too many. */
  async #tidy(): Promise<void> {
    const names = await readdir(this.folder)
    const entries = names.filter(isEntry)
    const unfinished = names.filter((name) => !isEntry(name))
    const remove = (name: string) => rm(join(this.folder, name), { force: true })
    await Promise.all(unfinished.map(remove))
    if (entries.length <= maxEntries) return
    const aged = await Promise.all(entries.map(async (name) => ({ name, age: (await stat(join(this.folder, name))).mtimeMs })))
    aged.sort((a, b) => b.age - a.age)
    await Promise.all(aged.slice(maxEntries).map(({ name }) => remove(name)))
  }
}
