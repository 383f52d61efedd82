import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { encodeFrame, FrameDecoder } from '../../proto/frame.js'
import { caisson } from '../../proto/messages.js'
import { LauncherConnection, LauncherFailed, LauncherLost } from './launcher.js'

const { Request, Event, StopReason } = caisson.launch.v1
type Request = caisson.launch.v1.Request

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'caisson-launcher-'))
})
after(() => rm(folder, { recursive: true }))

type Answer = (request: Request, reply: (event: caisson.launch.v1.IEvent) => void, socket: Socket) => void

let count = 0
async function launcher(answer: Answer) {
  const path = join(folder, `${count++}.sock`)
  const server = createServer((socket) => {
    const decoder = new FrameDecoder()
    const reply = (event: caisson.launch.v1.IEvent) => socket.write(encodeFrame(Event, event))
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      for (const message of decoder.push(chunk)) answer(Request.decode(message), reply, socket)
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const connection = await LauncherConnection.connect(path)
  return {
    connection,
    [Symbol.dispose]() {
      connection[Symbol.dispose]()
      server.close()
    },
  }
}

test('asks get their answers, and the first Stopped is told', async () => {
  using it = await launcher((request, reply) => {
    if (request.prepare) reply({ prepared: { sandboxId: 's1', channelPath: '/c' } })
    if (request.stop) reply({ stopped: { reason: request.stop.reason ?? 0 } })
    if (request.finish) reply({ finished: { reason: StopReason.CANCEL, wallUs: 12 } })
  })
  const prepared = await it.connection.ask({ prepare: { diskBytes: 1 } }, 'prepared')
  assert.equal(prepared.channelPath, '/c')
  it.connection.send({ stop: { reason: StopReason.CANCEL } })
  assert.equal(await it.connection.stopped, StopReason.CANCEL)
  const finished = await it.connection.ask({ finish: {} }, 'finished')
  assert.equal(finished.wallUs, 12)
  assert.equal(finished.memoryPeakBytes ?? undefined, undefined)
})

test('Failed is thrown with its step', async () => {
  using it = await launcher((_, reply) => reply({ failed: { step: 'mount overlay', errno: 1, message: 'mount overlay: EPERM' } }))
  await assert.rejects(it.connection.ask({ start: {} }, 'started'), (error) => {
    return error instanceof LauncherFailed && error.step === 'mount overlay' && error.errno === 1 && /EPERM/.test(error.message)
  })
  await assert.rejects(it.connection.ask({ finish: {} }, 'finished'), LauncherFailed)
})

test('a launcher that dies rejects what waits, and lost', async () => {
  using it = await launcher((_request, _reply, socket) => socket.destroy())
  await assert.rejects(it.connection.ask({ prepare: {} }, 'prepared'), LauncherLost)
  await assert.rejects(it.connection.lost, LauncherLost)
})

test('an answer to another question ends the connection', async () => {
  using it = await launcher((_, reply) => reply({ published: { key: 'k' } }))
  await assert.rejects(it.connection.ask({ prepare: {} }, 'prepared'), /out of turn/)
})

test('a frame too long ends the connection', async () => {
  using it = await launcher((_request, _reply, socket) => socket.write(Buffer.from([0xff, 0, 0, 0])))
  await assert.rejects(it.connection.ask({ prepare: {} }, 'prepared'), /broken frame/)
})

test('after dispose nothing is reported as lost', async () => {
  using it = await launcher(() => {})
  const asked = it.connection.ask({ prepare: {} }, 'prepared')
  it.connection[Symbol.dispose]()
  await assert.rejects(asked, /closed by its owner/)
  const first = await Promise.race([
    it.connection.lost.catch(() => 'lost'),
    new Promise((resolve) => setTimeout(resolve, 20, 'quiet')),
  ])
  assert.equal(first, 'quiet')
})

test('nobody listens: the path is named', async () => {
  await assert.rejects(LauncherConnection.connect(join(folder, 'none.sock')), /none\.sock/)
})
