// The bytes of a blob as one stream, however often the connection breaks: each try goes on where the last one ended.
import type { Descriptor } from '../documents/descriptor.js'
import { ImageError } from '../failure.js'
import { Passing, refuse, Unreachable } from './failures.js'
import type { Patience } from './options.js'
import { pause } from './retry.js'
import { type Answer, dump, interrupted } from './transport.js'

export type OpenAt = (offset: number, signal: AbortSignal) => Promise<Answer>

/** So much got through makes a broken connection an accident, not a habit. */
const progressBytes = 256 << 10
/** No blob has longer, however steadily it comes. */
const mostMs = 60 * 60_000

/** Unverified; one byte more than the descriptor says at most, so that a verifier sees that there are more. */
export async function* download(
  blob: Descriptor,
  openAt: OpenAt,
  patience: Patience,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const late = AbortSignal.timeout(mostMs)
  const either = AbortSignal.any([signal, late])
  let offset = 0
  let tried = 0
  // Not counted: what the converter takes.
  let waitedMs = 0
  while (offset < blob.size || offset === 0) {
    const from = offset
    try {
      let since = performance.now()
      for await (const chunk of await bytesFrom(blob, offset, openAt, either)) {
        offset += chunk.length
        waitedMs += performance.now() - since
        if (waitedMs > patience.blobMs + (offset / patience.leastBytesPerSecond) * 1000) throw tooSlow(blob, waitedMs, offset)
        yield chunk
        if (offset > blob.size) return
        since = performance.now()
      }
      if (offset === blob.size) return
      throw new Passing(shorter(blob, offset))
    } catch (error) {
      tried = offset - from >= progressBytes ? 1 : tried + 1
      await again(error, tried).catch((error) => {
        throw late.aborted && !signal.aborted ? tooSlow(blob, mostMs, offset) : error
      })
    }
  }

  async function again(error: unknown, tried: number): Promise<void> {
    either.throwIfAborted()
    if (!(error instanceof Passing)) throw error
    await pause(error, tried, patience, either)
  }
}

async function bytesFrom(blob: Descriptor, offset: number, openAt: OpenAt, signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
  const answer = await openAt(offset, signal)
  if (answer.status === 416) {
    dump(answer)
    throw shorter(blob, offset)
  }
  if (answer.status === 200) return bytesOf(answer, offset, signal)
  const start = /^bytes (\d+)-/.exec(String(answer.headers['content-range']))?.[1]
  if (Number(start) === offset) return bytesOf(answer, 0, signal)
  dump(answer)
  throw refuse(
    'IMAGE_REGISTRY_PROTOCOL',
    `${answer.url.host} answered with another range of blob ${blob.digest} than was asked for`,
  )
}

/** Without the first `skipped`, where a registry has no ranges and starts anew. */
async function* bytesOf({ body, url }: Answer, skipped: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  let left = skipped
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (left >= chunk.length) left -= chunk.length
      else {
        yield left === 0 ? chunk : chunk.subarray(left)
        left = 0
      }
    }
  } catch (error) {
    throw interrupted(error, url, signal)
  }
}

const shorter = ({ digest, size }: Descriptor, bytes: number) =>
  bytes === 0
    ? new Unreachable(`nothing came of blob ${digest}`)
    : new ImageError('IMAGE_DIGEST_MISMATCH', `blob ${digest} ended after ${bytes} bytes where its descriptor says ${size}`, {
        digest,
      })

const tooSlow = ({ digest, size }: Descriptor, ms: number, bytes: number) => {
  const progress = `${bytes} of ${size} bytes in ${Math.round(ms / 1000)} s`
  return new ImageError('IMAGE_REGISTRY_PROTOCOL', `blob ${digest} comes too slowly: ${progress}`, { digest })
}
