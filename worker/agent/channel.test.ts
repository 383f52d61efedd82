import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ChannelSocket } from './channel.js'

/** More than a read of Node's takes at once, and less than a socket holds. */
const said = Buffer.alloc(150_000, 'x')

test('what was said before the other end was killed is read, whatever is written meanwhile', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'caisson-channel-'))
  const server = createServer({ pauseOnConnect: true })
  const path = join(folder, 'channel')
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
  const channel = new ChannelSocket(path)
  channel.pause()
  await new Promise((resolve) => channel.once('connect', resolve))
  const other = await accepted
  try {
    // Unread by the other end: then its death is a reset, not an end.
    channel.write('credit')
    await new Promise<void>((resolve) => other.write(said, () => resolve()))
    other.destroy()
    await new Promise((resolve) => other.once('close', resolve))
    const errors: Error[] = []
    channel.on('error', (error) => errors.push(error))
    for (let i = 0; i < 3; i++) await new Promise((resolve) => channel.write('more credit', resolve))
    let bytes = 0
    const closed = new Promise((resolve) => channel.once('close', resolve))
    channel.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      channel.write('and more')
    })
    channel.resume()
    await closed
    assert.equal(bytes, said.length)
    for (const error of errors) assert.equal((error as NodeJS.ErrnoException).syscall, 'read')
  } finally {
    server.close()
    rmSync(folder, { recursive: true })
  }
})
