// The other reader of these files is native/frame/tests/golden.rs.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type protobuf from 'protobufjs/minimal.js'
import { encodeFrame, FrameDecoder } from './frame.js'
import { caisson } from './messages.js'

interface Codec {
  encode(message: unknown, writer: protobuf.Writer): protobuf.Writer
  decode(bytes: Uint8Array): object
}

const folder = join(import.meta.dirname, '../../test/golden/frames')
const { agent, launch } = caisson
const codecs: Record<string, Codec> = {
  'caisson.agent.v1.HostFrame': agent.v1.HostFrame as Codec,
  'caisson.agent.v1.AgentFrame': agent.v1.AgentFrame as Codec,
  'caisson.launch.v1.Request': launch.v1.Request as Codec,
  'caisson.launch.v1.Event': launch.v1.Event as Codec,
  'caisson.launch.v1.ConvertResult': launch.v1.ConvertResult as Codec,
}
const isBytes = (name: string) => name === 'data' || name === 'entropy' || name.endsWith('Digest')

/** As the JSON files say it: fields that were sent, bytes in base64. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const sent = Object.entries(value).filter(([, field]) => !(Array.isArray(field) && field.length === 0))
  return Object.fromEntries(sent.map(([name, field]) => [name, plain(field)]))
}

const fromJson = (text: string) => JSON.parse(text, (name, value) => (isBytes(name) ? Buffer.from(value, 'base64') : value))

for (const name of readdirSync(folder).filter((file) => file.endsWith('.bin'))) {
  test(`golden frame ${name}`, () => {
    const bytes = readFileSync(join(folder, name))
    const { type, message } = fromJson(readFileSync(join(folder, name.replace('.bin', '.json')), 'utf8'))
    const codec = codecs[type] as Codec
    const decoder = new FrameDecoder()
    const bodies: Uint8Array[] = []
    for (let at = 0; at < bytes.length; at += 2) bodies.push(...decoder.push(bytes.subarray(at, at + 2)))
    assert.equal(bodies.length, 1)
    assert.deepEqual(plain(codec.decode(bodies[0] as Uint8Array)), plain(message))
    assert.deepEqual(Buffer.from(encodeFrame(codec, message)), bytes)
  })
}

test('a 64-bit field that was not sent is the number 0', () => {
  assert.equal(agent.v1.Output.decode(new Uint8Array()).offset, 0)
  assert.equal(agent.v1.Input.decode(new Uint8Array()).offset, 0)
})
