import { createHash, type Hash } from 'node:crypto'
import { ImageError } from '../failure.js'

const algorithms = ['sha256', 'sha512'] as const

/** "sha256:…" over these bytes. */
export const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/** Checks bytes as they pass by against what a descriptor claims, and stops at the first byte too many. */
export class Verifier {
  readonly #hash: Hash
  readonly #algorithm: string
  #bytes = 0

  constructor(readonly claim: { digest: string; size: number }) {
    const algorithm = algorithms.find((name) => claim.digest.startsWith(`${name}:`))
    if (!algorithm)
      throw new ImageError('IMAGE_UNSUPPORTED', `digest ${claim.digest}: only ${algorithms.join(' and ')} are known`)
    this.#algorithm = algorithm
    this.#hash = createHash(algorithm)
  }

  update(chunk: Uint8Array): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.claim.size) this.#refuse(`is longer than its descriptor says (${this.claim.size} bytes)`)
    this.#hash.update(chunk)
  }

  finish(): void {
    if (this.#bytes < this.claim.size) this.#refuse(`has ${this.#bytes} bytes where its descriptor says ${this.claim.size}`)
    const found = `${this.#algorithm}:${this.#hash.digest('hex')}`
    if (found !== this.claim.digest) this.#refuse(`holds other bytes: their digest is ${found}`)
  }

  #refuse(how: string): never {
    throw new ImageError('IMAGE_DIGEST_MISMATCH', `blob ${this.claim.digest} ${how}`, { digest: this.claim.digest })
  }
}

/** The bytes of a blob, once digest and size are what was claimed. What is longer than the limit is not read at all. */
export async function readVerified(
  blob: AsyncIterable<Buffer>,
  claim: { digest: string; size: number },
  limit: number,
): Promise<Buffer> {
  if (claim.size > limit) {
    throw new ImageError('IMAGE_TOO_LARGE', `blob ${claim.digest} has ${claim.size} bytes, at most ${limit} are taken`, {
      digest: claim.digest,
    })
  }
  const verifier = new Verifier(claim)
  const chunks: Buffer[] = []
  for await (const chunk of blob) {
    verifier.update(chunk)
    chunks.push(chunk)
  }
  verifier.finish()
  return Buffer.concat(chunks)
}
