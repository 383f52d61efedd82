// Input while a run goes: by a program that answers, by a client that loses its connection, to a run that takes none.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Caisson } from '../../client/sdk/caisson.js'
import type { CaissonError } from '../../client/sdk/error.js'
import { container, finish, run, sh } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { memory } from '../harness/holdings.js'
import { until } from '../harness/until.js'

const fixture = await Fixture.start()

test('a conversation', { timeout: 60_000 }, async () => {
  const { caisson } = fixture
  const { runId } = await caisson.submit(container({ args: ['cat'], stdin: 'attach' }))
  const input = caisson.attach(runId)
  let said = 0
  let heard = ''
  for await (const event of caisson.watch(runId)) {
    if (event.type === 'output') heard += event.data
    if (event.type === 'verdict') break
    if (said < 10 && (event.type === 'output' || (event.type === 'state' && event.state === 'RUNNING'))) {
      await input.write(Buffer.from(`word ${said++}\n`))
      if (said === 10) await input.end()
    }
  }
  assert.equal(heard, Array.from({ length: 10 }, (_, i) => `word ${i}\n`).join(''))
})

test('input sent before the program starts is kept for it', { timeout: 60_000 }, async () => {
  const { caisson } = fixture
  const { runId } = await caisson.submit(container({ args: sh('sleep 0.5; cat'), stdin: 'attach' }))
  const input = caisson.attach(runId)
  await input.write(Buffer.from('early'))
  await input.end()
  assert.equal((await finish(caisson.watch(runId))).stdout.toString(), 'early')
})

test('control dies under the input: no byte is lost or doubled', { timeout: 120_000 }, async () => {
  const { instance, caisson } = fixture
  const { runId } = await caisson.submit(container({ args: ['sha256sum'], stdin: 'attach' }))
  const finished = finish(caisson.watch(runId))
  const input = caisson.attach(runId)
  const { createHash } = await import('node:crypto')
  const hash = createHash('sha256')
  for (let i = 0; i < 64; i++) {
    const chunk = Buffer.alloc(1 << 19, i)
    hash.update(chunk)
    await input.write(chunk)
    if (i % 20 === 10) await instance.killAndAwaitRestart('control')
  }
  await input.end()
  assert.equal((await finished).stdout.toString(), `${hash.digest('hex')}  -\n`)
})

test('a program that does not read holds its writer back', { timeout: 60_000 }, async () => {
  const { instance, caisson } = fixture
  const before = await memory(instance)
  const { runId } = await caisson.submit(container({ args: ['sleep', '50'], stdin: 'attach' }))
  const input = caisson.attach(runId)
  let written = 0
  const writing = (async () => {
    for (;;) {
      await input.write(Buffer.alloc(1 << 20))
      written += 1 << 20
    }
  })()
  writing.catch(() => {})
  await until('the writer waits', 30_000, async () => {
    const settled = written
    await sleep(1000)
    return written > 0 && written === settled
  })
  assert.ok(written <= 32 << 20, `${written} bytes were taken`)
  const now = await memory(instance)
  for (const part of ['control', 'worker'] as const) assert.ok(now[part] - before[part] < 64 << 20, part)
  await caisson.cancel(runId)
  await assert.rejects(writing)
})

test('a run that was submitted without input, or has ended, takes none', { timeout: 60_000 }, async () => {
  const { caisson } = fixture
  const { runId } = await caisson.submit(container({ args: ['sleep', '50'] }))
  await assert.rejects(feed(caisson, runId), (error: CaissonError) => error.reason === 'STDIN_NOT_ATTACHED')
  await caisson.cancel(runId)
  const ended = await run(caisson, { args: ['true'], stdin: 'attach' })
  await assert.rejects(feed(caisson, ended.runId), (error: CaissonError) => error.reason === 'RUN_ENDED')
})

test('a signal to an ended run is told so', { timeout: 60_000 }, async () => {
  const { runId } = await run(fixture.caisson, { args: ['true'] })
  await assert.rejects(fixture.caisson.signal(runId, 15), (error: CaissonError) => error.reason === 'RUN_ENDED')
})

async function feed(caisson: Caisson, runId: string): Promise<void> {
  const input = caisson.attach(runId)
  await input.write(Buffer.from('x'))
  await input.end()
}
