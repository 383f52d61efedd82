import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { encodeFrame, FrameDecoder } from '../../proto/frame.js'
import { caisson } from '../../proto/messages.js'
import { AgentClient, ChannelClosed } from './client.js'
import type { Input } from './input.js'
import { maxChunkBytes, ProtocolViolation } from './violation.js'

const { HostFrame, AgentFrame, Stream } = caisson.agent.v1
type HostFrame = caisson.agent.v1.HostFrame

/** The agent's end of a channel, played by the test. */
class Script implements Disposable {
  readonly #server = createServer()
  readonly #folder = mkdtempSync(join(tmpdir(), 'caisson-agent-'))
  readonly heard: HostFrame[] = []
  #socket: Socket | undefined
  onFrame: (frame: HostFrame) => void = () => {}

  async open(): Promise<AgentClient> {
    const path = join(this.#folder, 'channel')
    await new Promise<void>((resolve) => this.#server.listen(path, resolve))
    const accepted = new Promise<Socket>((resolve) => this.#server.once('connection', resolve))
    const client = new AgentClient(connect({ path }))
    this.#socket = await accepted
    this.#socket.on('error', () => {})
    const decoder = new FrameDecoder()
    this.#socket.on('data', (chunk) => {
      for (const message of decoder.push(chunk)) {
        const frame = HostFrame.decode(message)
        this.heard.push(frame)
        this.onFrame(frame)
      }
    })
    return client
  }

  say(...frames: caisson.agent.v1.IAgentFrame[]): void {
    for (const frame of frames) this.raw(encodeFrame(AgentFrame, frame))
  }

  raw(bytes: Uint8Array): void {
    this.#socket?.write(bytes)
  }

  hangUp(): void {
    this.#socket?.destroy()
  }

  [Symbol.dispose](): void {
    this.#socket?.destroy()
    this.#server.close()
    rmSync(this.#folder, { recursive: true })
  }
}

const hello = { hello: { protocol: 1, agentVersion: '0.1.0' } }
const started = { started: { processId: 1, inputCreditBytes: 4 } }
const exited = { exited: { processId: 1, exitCode: 0 } }
const output = (offset: number, text: string) => ({
  output: { processId: 1, stream: Stream.STDOUT, offset, data: Buffer.from(text) },
})
const request = { args: ['true'], stdin: true }

async function run(script: Script, credit = 8) {
  const client = await script.open()
  script.say(hello)
  await client.hello
  const seen: string[] = []
  let input: Input | undefined
  const process = client.start({ hostname: 'h' }, request, credit, {
    started: (it) => {
      seen.push('started')
      input = it
    },
    output: (stream, offset, data) => seen.push(`${stream}@${offset} ${Buffer.from(data)}`),
  })
  return { client, process, seen, input: () => input as Input }
}

test('a process from Exec to Exited', async () => {
  using script = new Script()
  const execs: (number | null | undefined)[] = []
  script.onFrame = ({ exec }) => exec && execs.push(exec.outputCreditBytes)
  const { process, seen } = await run(script)
  while (execs.length === 0) await turn()
  assert.deepEqual(execs, [8])
  script.say(started, output(0, 'hi'), output(2, 'ho'), { exited: { processId: 1, exitCode: 42 } })
  assert.deepEqual(await process.ended, { kind: 'exited', exitCode: 42 })
  assert.deepEqual(seen, ['started', '1@0 hi', '1@2 ho'])
})

test('death by signal, and a failed start', async () => {
  using script = new Script()
  const { process } = await run(script)
  script.say(started, { exited: { processId: 1, signal: 11, coreDumped: true } })
  assert.deepEqual(await process.ended, { kind: 'signaled', signal: 11, coreDumped: true })
  using other = new Script()
  const failed = await run(other)
  other.say({ failed: { processId: 1, step: 11, errno: 2, message: 'exec /nope: ENOENT' } })
  assert.deepEqual(await failed.process.ended, { kind: 'failed', step: 11, errno: 2, message: 'exec /nope: ENOENT' })
})

test('credit comes back, and only what was spent', async () => {
  using script = new Script()
  const { process, seen } = await run(script)
  script.say(started, output(0, '12345678'))
  while (seen.length < 2) await turn()
  process.credit(Stream.STDOUT, 8)
  process.credit(Stream.STDOUT, 1)
  while (!script.heard.some((frame) => frame.credit)) await turn()
  script.say(output(8, '12345678'), exited)
  assert.deepEqual(await process.ended, { kind: 'exited', exitCode: 0 })
  const credits = script.heard.filter((frame) => frame.credit)
  assert.equal(credits.length, 1)
  assert.equal(credits[0]?.credit?.bytes, 8)
})

test('input flows under credit, in order, and ends', async () => {
  using script = new Script()
  const taken: Buffer[] = []
  let ended = false
  script.onFrame = ({ input }) => {
    if (!input) return
    assert.equal(input.offset, Buffer.concat(taken).length)
    const data = Buffer.from(input.data ?? [])
    assert.ok(data.length <= 4)
    taken.push(data)
    ended = input.end ?? false
    if (data.length) script.say({ inputCredit: { processId: 1, bytes: data.length } })
    else script.say(exited)
  }
  const { process, input, seen } = await run(script)
  script.say(started)
  while (seen.length === 0) await turn()
  await input().write(Buffer.from('hello world'))
  await input().write(Buffer.from('!'))
  input().end()
  await process.ended
  assert.equal(Buffer.concat(taken).toString(), 'hello world!')
  assert.ok(ended)
})

test('a program that closes its stdin, or ends, holds no writer', async () => {
  using script = new Script()
  const { process, input, seen } = await run(script)
  script.say(started)
  while (seen.length === 0) await turn()
  const written = input().write(Buffer.alloc(1000))
  script.say({ inputCredit: { processId: 1, closed: true } })
  await written
  script.say(exited)
  await process.ended
  await input().write(Buffer.alloc(1000))
})

const violations: Record<string, caisson.agent.v1.IAgentFrame[]> = {
  'output before Started': [output(0, 'x')],
  'Exited before Started': [exited],
  'Started twice': [started, started],
  'Hello twice': [hello],
  'output at a wrong offset': [started, output(1, 'x')],
  'output over its credit': [started, output(0, '123456789')],
  'empty output': [started, output(0, '')],
  'output of no stream': [started, { output: { processId: 1, data: Buffer.from('x') } }],
  'output of an unknown stream': [
    started,
    { output: { processId: 1, stream: 7 as caisson.agent.v1.Stream, data: Buffer.from('x') } },
  ],
  'another process': [started, { output: { processId: 2, stream: Stream.STDOUT, data: Buffer.from('x') } }],
  'input credit for what was not sent': [started, { inputCredit: { processId: 1, bytes: 1 } }],
  'input credit of nothing': [started, { inputCredit: { processId: 1 } }],
  'input closed twice': [
    started,
    { inputCredit: { processId: 1, closed: true } },
    { inputCredit: { processId: 1, closed: true } },
  ],
  'Exited without an end': [started, { exited: { processId: 1 } }],
  'an exit code of 256': [started, { exited: { processId: 1, exitCode: 256 } }],
  'signal 0': [started, { exited: { processId: 1, signal: 0 } }],
  'Failed after Started': [started, { failed: { processId: 1, step: 1 } }],
  'an empty frame': [started, {}],
}

for (const [name, frames] of Object.entries(violations)) {
  test(`violation: ${name}`, async () => {
    using script = new Script()
    const { process, client } = await run(script)
    script.say(...frames)
    await assert.rejects(process.ended, ProtocolViolation)
    await assert.rejects(client.broken, ProtocolViolation)
  })
}

test('violation: one output of more than 256 KiB', async () => {
  using script = new Script()
  const { process } = await run(script, 1 << 20)
  script.say(started, output(0, 'x'.repeat(maxChunkBytes + 1)))
  await assert.rejects(process.ended, /256|262144/)
})

test('violation: a frame of 2 GiB, or of garbage', async () => {
  for (const bytes of [Buffer.from([0x80, 0, 0, 0]), Buffer.from([0, 0, 0, 2, 0xff, 0xff])]) {
    using script = new Script()
    const { process } = await run(script)
    script.raw(bytes)
    await assert.rejects(process.ended, ProtocolViolation)
  }
})

test('violation: anything after Exited breaks the channel, not the report', async () => {
  using script = new Script()
  const { process, client } = await run(script)
  script.say(started, exited, output(0, 'late'))
  assert.deepEqual(await process.ended, { kind: 'exited', exitCode: 0 })
  await assert.rejects(client.broken, ProtocolViolation)
})

test('another protocol, or no Hello first, is refused', async () => {
  for (const frame of [{ hello: { protocol: 2 } }, started]) {
    using script = new Script()
    const client = await script.open()
    script.say(frame)
    await assert.rejects(client.hello, ProtocolViolation)
  }
})

test('an agent that dies is told apart from one that lies', async () => {
  using script = new Script()
  const { process } = await run(script)
  script.say(started)
  script.hangUp()
  await assert.rejects(process.ended, ChannelClosed)
})
