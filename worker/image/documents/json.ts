// Hand-written checks of JSON that strangers wrote: every error names document and field.
import { ImageError } from '../failure.js'

export class JsonField {
  private constructor(
    readonly value: unknown,
    /** "config sha256:…, rootfs.diff_ids[3]" */
    readonly where: string,
  ) {}

  static parse(bytes: Uint8Array, document: string): JsonField {
    try {
      return new JsonField(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)), document)
    } catch (cause) {
      throw new ImageError('IMAGE_MALFORMED', `${document} is not JSON`, { cause })
    }
  }

  /** Null counts as absent: Docker writes null for what it does not set. */
  get absent(): boolean {
    return this.value === undefined || this.value === null
  }

  field(name: string): JsonField {
    const object = this.#is('an object', (value) => typeof value === 'object' && value !== null && !Array.isArray(value))
    const separator = this.where.includes(', ') ? '.' : ', '
    return new JsonField(
      Object.hasOwn(object as object, name) ? (object as Record<string, unknown>)[name] : undefined,
      `${this.where}${separator}${name}`,
    )
  }

  list(most: number): JsonField[] {
    const array = this.#is('a list', Array.isArray) as unknown[]
    if (array.length > most)
      throw new ImageError('IMAGE_TOO_LARGE', `${this.where} has ${array.length} entries, at most ${most} are taken`)
    return array.map((value, index) => new JsonField(value, `${this.where}[${index}]`))
  }

  string(): string {
    return this.#is('a string', (value) => typeof value === 'string') as string
  }

  /** A whole number from 0 up that JavaScript holds exactly. */
  size(): number {
    return this.#is('a size in bytes', (value) => Number.isSafeInteger(value) && (value as number) >= 0) as number
  }

  refuse(what: string): never {
    throw new ImageError('IMAGE_MALFORMED', `${this.where} ${what}`)
  }

  #is(what: string, holds: (value: unknown) => boolean): unknown {
    if (!holds(this.value)) this.refuse(this.absent ? `is missing, must be ${what}` : `must be ${what}`)
    return this.value
  }
}
