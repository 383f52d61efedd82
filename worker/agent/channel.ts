// The worker's end of a channel's socket. Whoever is killed behind it has often said something that we have not read yet.
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net'

/**
 * All channels are read into this, one after another: what 'data' gives is gone with the next. Memory of its own for each read would keep the
 * garbage collector busier than a flood of output does itself.
 */
const readBuffer = Buffer.allocUnsafeSlow(256 << 10)

type Done = (error?: Error | null) => void

/**
 * Connects to a launcher's channel. A socket of Node's is destroyed when a write fails, with all that is left to be read; of this one what
 * was said is read to its end first, and only then it closes. Paused, until somebody listens. (What cannot be written any more is of no use: nobody is there.)
 */
export class ChannelSocket extends Socket {
  constructor(path: string) {
    let say = (_length: number): boolean => true
    // Also of a socket's own options, though its types have it for connect() alone.
    const options: SocketConstructorOpts & { onread: OnReadOpts } = {
      onread: { buffer: readBuffer, callback: (length) => say(length) },
    }
    super(options)
    say = (length) => this.emit('data', readBuffer.subarray(0, length))
    this.connect({ path })
    this.pause()
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

/** Room for one message at a time: it is gone with the next. */
export function oneRoom(): (bytes: number) => Uint8Array {
  let room = Buffer.alloc(0)
  return (bytes) => {
    if (room.length < bytes) room = Buffer.allocUnsafeSlow(bytes)
    return room.subarray(0, bytes)
  }
}
