// The worker's ends of its channels, with who is behind them taken over: the agent, the converter, the VMM.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { encodeFrame, FrameDecoder, FrameError, maxFrameBytes } from '../../proto/frame.js'
import { caisson } from '../../proto/messages.js'
import { Failure } from '../../proto/reason.js'
import { AgentClient, ChannelClosed } from '../../worker/agent/client.js'
import type { AgentProcess } from '../../worker/agent/process.js'
import { ProtocolViolation } from '../../worker/agent/violation.js'
import { ConverterChannel } from '../../worker/image/layers/channel.js'
import { Qmp, QmpError } from '../../worker/sandbox/qmp.js'
import type { Targets } from './targets.js'

const { AgentFrame, Stream } = caisson.agent.v1
const { ConvertResult } = caisson.launch.v1
const headerBytes = 4
/** Of output that may be on the way. */
const window = 64

const agent = (...frames: caisson.agent.v1.IAgentFrame[]) => frames.map((frame) => encodeFrame(AgentFrame, frame))
const output = (stream: caisson.agent.v1.Stream, offset: number, data: string) => ({
  output: { processId: 1, stream, offset, data: Buffer.from(data) },
})
const [hello, started] = [{ hello: { protocol: 1 } }, { started: { processId: 1, inputCreditBytes: 8 } }]
const exited = { exited: { processId: 1, exitCode: 1, counters: { oomKills: 1, diskFull: true } } }

/** The first byte says in pieces of what size the others come, and whether lengths are put right; seeds have both. */
const seed = (control: number, ...frames: Uint8Array[]) => Buffer.concat([Buffer.of(control), ...frames])

function pieces(input: Buffer): Buffer[] {
  const control = input[0] ?? 0
  const stream = control & 0x80 ? input.subarray(1) : framed(input.subarray(1))
  const step = 1 + 4 * (control & 0x7f)
  return Array.from({ length: Math.ceil(stream.length / step) }, (_, i) => stream.subarray(i * step, (i + 1) * step))
}

/** Of a length that is wrong all that follows is lost, and a mutation of it teaches nothing more. */
function framed(bytes: Buffer): Buffer {
  const stream = Buffer.from(bytes)
  for (let at = 0; at + headerBytes <= stream.length; at += headerBytes + stream.readUInt32BE(at))
    stream.writeUInt32BE(Math.min(stream.readUInt32BE(at), stream.length - at - headerBytes), at)
  return stream
}

class Wire extends Duplex {
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done()
  }
}

/** One process, whose output is taken as it comes. */
async function hear(input: Buffer): Promise<void> {
  const wire = new Wire()
  const client = new AgentClient(wire)
  const ready = client.setUp({ machine: {} }).catch(() => {})
  const seen = { [Stream.STDOUT]: 0, [Stream.STDERR]: 0 } as Record<number, number>
  const writes: Promise<void>[] = []
  const process: AgentProcess = client.start(undefined, { args: ['true'], stdin: true }, window, {
    started: (stdin) => writes.push(stdin.write(Buffer.alloc(100))),
    output(stream, offset, data) {
      assert.ok(!wire.destroyed && offset === seen[stream] && data.length > 0 && data.length <= window)
      seen[stream] = offset + data.length
      if (offset % 2 === 0) process.credit(stream, data.length)
    },
  })
  for (const piece of pieces(input)) wire.emit('data', piece)
  wire.destroy()
  const end = await process.ended.catch((error: unknown) => error)
  if (end instanceof Error) assert.ok(end instanceof ProtocolViolation || end instanceof ChannelClosed, end)
  // Nobody waits for ever.
  await Promise.all([ready, ...writes])
}

/** A converter that says whatever it likes, and hangs up. */
class Converter {
  readonly path: string
  #says: Buffer[] = []

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), 'caisson-fuzz-'))
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
    this.path = join(folder, 'channel')
    createServer((socket: Socket) => {
      socket.on('error', () => {})
      for (const piece of this.#says) socket.write(piece)
      socket.end()
    })
      .listen(this.path)
      .unref()
  }

  async convert(input: Buffer): Promise<void> {
    this.#says = pieces(input)
    using channel = new ConverterChannel(this.path)
    await channel.result
  }
}

/** All of it is said at once; who then waits for more is left waiting. */
async function shake(input: Buffer): Promise<void> {
  const chunks = pieces(Buffer.concat([Buffer.of((input[0] ?? 0) | 0x80), input.subarray(1)]))
  let listener: (data: Buffer) => void = () => {}
  const qmp = new Qmp({
    tell() {},
    hear(heard) {
      listener = heard
    },
  })
  const talk = (async () => {
    await qmp.greet()
    await qmp.perform({ execute: 'query-status' })
    await qmp.perform({ event: 'RESUME', data: {}, unless: { status: 'failed' } })
  })()
  const silence = new Promise<void>((resolve) => setImmediate(resolve))
  for (const chunk of chunks) listener(chunk)
  await Promise.race([talk, silence])
}

const all = (decoder: FrameDecoder, chunks: Buffer[]) =>
  chunks.flatMap((chunk) => [...decoder.push(chunk)].map((it) => Buffer.from(it)))

export function channels(): Targets {
  let converter: Converter | undefined
  const convertResults = [
    { converted: { entries: 1, uncompressedBytes: 2 } },
    { needsLowers: {} },
    { refused: { reason: 'LAYER_BAD_ENTRY', message: 'no' } },
  ].map((result, i) => seed(i * 40, encodeFrame(ConvertResult, result)))
  const talks = [
    agent(hello, { ready: {} }, started, output(Stream.STDOUT, 0, 'hi'), output(Stream.STDERR, 0, 'x'.repeat(window)), exited),
    agent(hello, started, { inputCredit: { processId: 1, bytes: 8 } }, { inputCredit: { processId: 1, closed: true } }),
    agent(hello, { failed: { processId: 1, step: 11, errno: 2, message: 'exec /nope: ENOENT' } }),
    agent(hello, started, { exited: { processId: 1, signal: 9, coreDumped: true } }),
  ].map((frames, i) => seed(i * 30, ...frames))
  return {
    frames: {
      seeds: talks,
      mayThrow: FrameError,
      parse(bytes) {
        const stream = pieces(bytes)
        const whole = all(new FrameDecoder(), [Buffer.concat(stream)])
        assert.deepEqual(all(new FrameDecoder(), stream), whole)
        assert.ok(whole.every(({ length }) => length <= maxFrameBytes))
      },
    },
    // Its violations settle what waits for it; nothing is thrown.
    agent: { seeds: talks, mayThrow: ProtocolViolation, parse: hear },
    converter: {
      seeds: convertResults,
      mayThrow: Failure,
      parse(bytes) {
        converter ??= new Converter()
        return converter.convert(bytes)
      },
    },
    vmm: {
      seeds: [
        '{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": "Debian"}}}',
        '{"event": "RESUME"}',
        '{"return": {}}',
        '{"return": {"running": true}}',
        '{"error": {"class": "x"}}',
        '{"return": null}',
      ].map((_, i, lines) => seed(i * 20, Buffer.from(`${[lines[0], lines[2], ...lines.slice(i)].join('\r\n')}\r\n`))),
      mayThrow: QmpError,
      parse: shake,
    },
  }
}
