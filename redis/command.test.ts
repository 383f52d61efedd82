import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { type Argument, Gathered, ScriptCommand } from './command.js'

/** What goes over the wire, and in how many writes. */
async function sent(args: Argument[]): Promise<{ bytes: string; writes: number }> {
  const chunks: Buffer[] = []
  let writes = 0
  const socket = new Writable({
    writev: (pieces, done) => {
      writes++
      for (const { chunk } of pieces) chunks.push(chunk)
      done()
    },
  })
  const command = new ScriptCommand('sha', ['key'], args)
  socket.write(command.toWritable(socket))
  await turn()
  return { bytes: Buffer.concat(chunks).toString('latin1'), writes }
}

const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`

test('words, bytes and gathered bytes are sent in their order, in one write', async () => {
  const parts = ['a', 'b', 'c'].map((letter) => Buffer.alloc(20_000, letter))
  const small = new Gathered([Buffer.from('sm'), Buffer.from('all')])
  const { bytes, writes } = await sent(['one', 2, Buffer.from([0xff, 0]), new Gathered(parts), '', small])
  const large = parts.map(String).join('')
  const words = ['evalsha', 'sha', '1', 'key', 'one', '2', '\xff\0', large, '', 'small']
  assert.equal(bytes, `*10\r\n${words.map(bulk).join('')}`)
  assert.equal(writes, 1)
})

test('nothing large: as ioredis has it', async () => {
  const { bytes } = await sent(['one', new Gathered([Buffer.from('two')])])
  assert.equal(bytes, `*6\r\n${['evalsha', 'sha', '1', 'key', 'one', 'two'].map(bulk).join('')}`)
})
