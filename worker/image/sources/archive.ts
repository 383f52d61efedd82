// A tar as a set of named files, read in place.
import { posix } from 'node:path'
import { ImageError } from '../failure.js'
import { type Files, Region, type StableFile } from './region.js'
import { indexTar, type Member } from './tar-index.js'

const maxLinks = 16

export class Archive implements Files {
  private constructor(
    readonly file: StableFile,
    readonly members: Map<string, Member>,
  ) {}

  static async index(file: StableFile): Promise<Archive> {
    return new Archive(file, await file.use((read) => indexTar(read, file.size)))
  }

  get label(): string {
    return this.file.name
  }

  async open(name: string): Promise<Region | undefined> {
    const member = this.#follow(posix.normalize(name))
    return member && new Region(`${name} in ${this.label}`, this.file, member.offset, member.size)
  }

  /** Old `docker save` stores a layer that comes twice as a symlink to its first place. Links are looked up among the members alone. */
  #follow(name: string): Extract<Member, { kind: 'file' }> | undefined {
    let at = name
    for (let links = 0; links < maxLinks; links++) {
      const member = this.members.get(at)
      if (member?.kind !== 'link') return member
      at = posix.normalize(member.target)
      if (at.startsWith('/') || at.startsWith('../')) throw this.#broken(name, `is a link that leads out of the archive (${at})`)
    }
    throw this.#broken(name, `is a chain of more than ${maxLinks} links`)
  }

  #broken(name: string, how: string): ImageError {
    return new ImageError('IMAGE_MALFORMED', `${name} in ${this.label} ${how}`)
  }
}
