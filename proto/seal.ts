// A secret on its way through Redis: AES-256-GCM under a key that control and worker read from the same file, bound to one run, or one errand.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

export const sealKeyBytes = 32

const version = 1
const nonceBytes = 12
const tagBytes = 16
const headBytes = 1 + nonceBytes

export class Seal {
  readonly #key: Buffer

  constructor(key: Buffer) {
    if (key.length !== sealKeyBytes) throw new Error(`a seal key has ${sealKeyBytes} bytes, this one ${key.length}`)
    this.#key = key
  }

  /** A file of 64 hexadecimal digits. */
  static parse(text: string): Seal | undefined {
    const hex = text.trim()
    return /^[0-9a-f]{64}$/.test(hex) ? new Seal(Buffer.from(hex, 'hex')) : undefined
  }

  /** `boundTo`: the id of the run or errand. */
  close(secret: Uint8Array, boundTo: string): Buffer {
    const head = Buffer.concat([Buffer.of(version), randomBytes(nonceBytes)])
    const cipher = createCipheriv('aes-256-gcm', this.#key, head.subarray(1), { authTagLength: tagBytes })
    cipher.setAAD(aadOf(boundTo))
    const sealed = Buffer.concat([cipher.update(secret), cipher.final()])
    return Buffer.concat([head, sealed, cipher.getAuthTag()])
  }

  /** Undefined: made with another key, for another run or errand, or changed. */
  open(sealed: Buffer, boundTo: string): Buffer | undefined {
    if (sealed.length < headBytes + tagBytes || sealed[0] !== version) return undefined
    const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(1, headBytes), { authTagLength: tagBytes })
    decipher.setAAD(aadOf(boundTo))
    decipher.setAuthTag(sealed.subarray(-tagBytes))
    try {
      return Buffer.concat([decipher.update(sealed.subarray(headBytes, -tagBytes)), decipher.final()])
    } catch {
      return undefined
    }
  }
}

const aadOf = (boundTo: string) => Buffer.from(`caisson registry credential ${boundTo}`)
