// The worker's end of a channel's socket. Whoever is killed behind it has often said something that we have not read yet.
import { Socket } from 'node:net'

type Done = (error?: Error | null) => void

/**
 * Connects to a launcher's channel. A socket of Node's is destroyed when a write fails, with all that is left to be read; of this one what
 * was said is read to its end first, and only then it closes. (What cannot be written any more is of no use: nobody is there.)
 */
export class ChannelSocket extends Socket {
  constructor(path: string) {
    super()
    this.connect({ path })
  }

  override _write(chunk: unknown, encoding: BufferEncoding, done: Done): void {
    super._write(chunk, encoding, untroubled(done))
  }

  override _writev(chunks: Array<{ chunk: unknown; encoding: BufferEncoding }>, done: Done): void {
    super._writev?.(chunks, untroubled(done))
  }
}

/** Of any other error the channel is destroyed. */
const goneAway = ['EPIPE', 'ECONNRESET']

const untroubled =
  (done: Done): Done =>
  (error) =>
    done(goneAway.includes((error as NodeJS.ErrnoException | undefined)?.code ?? '') ? null : error)
