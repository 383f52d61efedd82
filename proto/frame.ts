// Frames between worker, agent, launcher and converter: length of the message as 4 bytes, big-endian, then the message (agent.proto).
// Pure: bytes in, bytes out, no sockets.
import protobuf from 'protobufjs/minimal.js'

export const maxFrameBytes = 1 << 20
const headerBytes = 4

/** The peer broke the framing: its channel is of no more use. */
export class FrameError extends Error {
  override readonly name = 'FrameError'
}

interface Encoder<T> {
  encode(message: T, writer: protobuf.Writer): protobuf.Writer
}

/** Header and message in one buffer, so that a frame is one write. */
export function encodeFrame<T>(type: Encoder<T>, message: T): Uint8Array {
  const frame = type.encode(message, protobuf.Writer.create().fixed32(0)).finish()
  const length = frame.length - headerBytes
  if (length > maxFrameBytes) throw new FrameError(`frame of ${length} bytes, at most ${maxFrameBytes}`)
  new DataView(frame.buffer, frame.byteOffset).setUint32(0, length)
  return frame
}

/**
 * Takes a byte stream in pieces of any size, gives whole messages. A message is a view of the chunk it came in, or of the room that was
 * made for it.
 */
export class FrameDecoder {
  readonly #room: (bytes: number) => Uint8Array
  readonly #header = new Uint8Array(headerBytes)
  #headerFilled = 0
  #body: Uint8Array | undefined
  #bodyFilled = 0

  /** `room`: for a message that comes in several chunks. */
  constructor(room: (bytes: number) => Uint8Array = Buffer.allocUnsafe) {
    this.#room = room
  }

  /** True between frames: where a stream may end. */
  get atBoundary(): boolean {
    return this.#headerFilled === 0
  }

  *push(chunk: Uint8Array): Generator<Uint8Array, void, void> {
    let at = 0
    while (at < chunk.length) {
      if (this.#headerFilled < headerBytes) {
        const part = chunk.subarray(at, at + headerBytes - this.#headerFilled)
        this.#header.set(part, this.#headerFilled)
        this.#headerFilled += part.length
        at += part.length
        if (this.#headerFilled < headerBytes) return
      }
      const length = this.#length()
      if (!this.#body && chunk.length - at >= length) {
        this.#headerFilled = 0
        yield chunk.subarray(at, at + length)
        at += length
        continue
      }
      this.#body ??= this.#room(length)
      const part = chunk.subarray(at, at + length - this.#bodyFilled)
      this.#body.set(part, this.#bodyFilled)
      this.#bodyFilled += part.length
      at += part.length
      if (this.#bodyFilled < length) return
      const body = this.#body
      this.#body = undefined
      this.#bodyFilled = 0
      this.#headerFilled = 0
      yield body
    }
  }

  // Checked before anything of that size is allocated.
  #length(): number {
    const length = new DataView(this.#header.buffer).getUint32(0)
    if (length > maxFrameBytes) throw new FrameError(`frame of ${length} bytes, at most ${maxFrameBytes}`)
    return length
  }
}
