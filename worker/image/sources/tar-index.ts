// Where the members of a tar lie, without reading what they hold. Hostile input: whatever is wrong with it is an ImageError, and what is
// kept in memory is bounded by the limits below.
import { posix } from 'node:path'
import { ImageError } from '../failure.js'
import type { Read } from './region.js'
import { blockBytes, emptyBlock, type Header, parseHeader, parsePax } from './tar-header.js'

export type Member = { kind: 'file'; offset: number; size: number } | { kind: 'link'; target: string }

const maxMembers = 100_000
const maxNameBytes = 16 << 20
const maxExtensionBytes = 1 << 20
const windowBytes = 64 << 10

/** What the long-name and pax members before a member say about it. */
interface Extension {
  name?: string
  target?: string
  size?: number
}

/** Of several members of one name the last counts, as when they are extracted. */
export async function indexTar(read: Read, size: number): Promise<Map<string, Member>> {
  return new TarIndex(read, size).run()
}

class TarIndex {
  readonly #members = new Map<string, Member>()
  readonly #window: Window
  #nameBytes = 0
  #headers = 0

  constructor(
    read: Read,
    readonly size: number,
  ) {
    this.#window = new Window(read, size)
  }

  async run(): Promise<Map<string, Member>> {
    let at = 0
    let extension: Extension = {}
    while (at < this.size) {
      const block = await this.#window.read(at, blockBytes)
      if (emptyBlock(block)) break
      const header = parseHeader(block, at)
      this.#count()
      const dataAt = at + blockBytes
      if (header.type === 'extension') extension = { ...extension, ...(await this.#extension(header, dataAt)) }
      else {
        this.#add(header, extension, dataAt)
        header.size = this.#dataSize(header, extension, dataAt)
        extension = {}
      }
      at = dataAt + Math.ceil(header.size / blockBytes) * blockBytes
    }
    return this.#members
  }

  async #extension(header: Header, at: number): Promise<Extension> {
    if (header.size > maxExtensionBytes) {
      throw new ImageError(
        'IMAGE_TOO_LARGE',
        `the archive's header at byte ${at} has ${header.size} bytes, at most ${maxExtensionBytes} are taken`,
      )
    }
    const data = await this.#window.read(at, header.size)
    if (header.flag === 'x') return parsePax(data, at)
    if (header.flag === 'L') return { name: textOf(data) }
    if (header.flag === 'K') return { target: textOf(data) }
    return {}
  }

  #add(header: Header, extension: Extension, at: number): void {
    const name = plainName(extension.name ?? header.name)
    if (name === undefined) return
    if (header.type === 'file') this.#keep(name, { kind: 'file', offset: at, size: this.#dataSize(header, extension, at) })
    if (header.type === 'link') {
      const target = extension.target ?? header.target
      const base = header.flag === '2' ? posix.dirname(name) : '.'
      this.#keep(name, { kind: 'link', target: target.startsWith('/') ? target : posix.join(base, target) })
    }
  }

  #keep(name: string, member: Member): void {
    this.#nameBytes += Buffer.byteLength(name) + (member.kind === 'link' ? Buffer.byteLength(member.target) : 0)
    if (this.#nameBytes > maxNameBytes)
      throw new ImageError('IMAGE_TOO_LARGE', `the archive's names take more than ${maxNameBytes} bytes`)
    this.#members.set(name, member)
  }

  /** Links, folders and devices have no data, whatever their size field says. */
  #dataSize(header: Header, extension: Extension, at: number): number {
    if (header.type !== 'file' && header.type !== 'other') return 0
    const size = extension.size ?? header.size
    if (at + size > this.size) throw truncated(at)
    return size
  }

  #count(): void {
    if (++this.#headers > maxMembers) throw new ImageError('IMAGE_TOO_LARGE', `the archive has more than ${maxMembers} members`)
  }
}

/** Headers of small members lie close together: one read serves many. */
class Window {
  #at = 0
  #bytes: Buffer = Buffer.alloc(0)

  constructor(
    readonly source: Read,
    readonly size: number,
  ) {}

  async read(at: number, length: number): Promise<Buffer> {
    if (at + length > this.size) throw truncated(at)
    if (at < this.#at || at + length > this.#at + this.#bytes.length) {
      this.#bytes = await this.source(at, Math.max(length, Math.min(windowBytes, this.size - at)))
      this.#at = at
    }
    return this.#bytes.subarray(at - this.#at, at - this.#at + length)
  }
}

const truncated = (at: number) =>
  new ImageError('IMAGE_TRUNCATED', `the archive is truncated: it ends inside the member at byte ${at}`)

/** "./a//b/" is "a/b"; names that lead out of the archive are nobody's. */
function plainName(name: string): string | undefined {
  const plain = posix.normalize(name).replace(/\/$/, '')
  return plain === '' || plain === '.' || plain.startsWith('/') || plain === '..' || plain.startsWith('../') ? undefined : plain
}

function textOf(data: Buffer): string {
  const end = data.indexOf(0)
  return data.toString('utf8', 0, end < 0 ? data.length : end)
}
