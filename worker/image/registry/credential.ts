// What a registry is to be shown. The secret is in private fields: neither a log nor JSON of an object that holds one ever shows it.
import { createHmac, randomBytes } from 'node:crypto'

const fingerprintKey = randomBytes(32)

export class Credential {
  readonly #username: string
  readonly #secret: string
  readonly #isIdentityToken: boolean

  private constructor(username: string, secret: string, isIdentityToken: boolean) {
    this.#username = username
    this.#secret = secret
    this.#isIdentityToken = isIdentityToken
  }

  static password(username: string, password: string): Credential {
    return new Credential(username, password, false)
  }

  static identityToken(token: string): Credential {
    return new Credential('', token, true)
  }

  /** Value of an Authorization header; undefined: an identity token is for token services alone. */
  get basic(): string | undefined {
    if (this.#isIdentityToken) return undefined
    return `Basic ${Buffer.from(`${this.#username}:${this.#secret}`).toString('base64')}`
  }

  get refreshToken(): string | undefined {
    return this.#isIdentityToken ? this.#secret : undefined
  }

  /** Tells two credentials apart, and nothing else; another one in each process. */
  get fingerprint(): string {
    const parts = [this.#isIdentityToken, this.#username, this.#secret]
    return createHmac('sha256', fingerprintKey).update(JSON.stringify(parts)).digest('base64url')
  }
}
