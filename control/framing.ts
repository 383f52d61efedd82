// Several messages of a stream in one write of grpc-js, which has none for that.
import type { Gathered } from '../redis/command.js'
import type { Messages } from './outgoing.js'

/** Before each message: not compressed, and its length (gRPC over HTTP/2, "Length-Prefixed-Message"). */
const headerBytes = 5

let room = Buffer.alloc(0)

/**
 * What a serializer gives for messages that go out together. grpc-js takes it for one message: it makes a buffer with a header for all of
 * it, and has the rest copied behind that. So the first message's own length is put there then, and the others bring their headers along.
 */
export function framed(messages: Messages): Buffer {
  const [first = nothing, ...rest] = messages
  const bytes = rest.reduce((sum, { length }) => sum + headerBytes + length, first.length)
  // It is copied at once: so it is always given the same room.
  if (room.length < bytes) room = Buffer.allocUnsafeSlow(bytes)
  let at = put(first, 0)
  for (const message of rest) at = put(message, putHeader(message.length, at))
  const all = room.subarray(0, bytes)
  if (rest.length > 0) all.copy = (target, start = 0) => withHeader(all, first.length, target, start)
  return all
}

const nothing: Pick<Gathered, 'length' | 'parts'> = { length: 0, parts: [] }

function put({ parts }: Pick<Gathered, 'parts'>, at: number): number {
  return parts.reduce((at, part) => at + part.copy(room, at), at)
}

function putHeader(length: number, at: number): number {
  room.writeUInt8(0, at)
  return room.writeUInt32BE(length, at + 1)
}

function withHeader(all: Buffer, length: number, target: Uint8Array, start: number): number {
  new DataView(target.buffer, target.byteOffset).setUint32(start - 4, length)
  return Buffer.prototype.copy.call(all, target, start)
}
