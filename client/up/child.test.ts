import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Child, type Program } from './child.js'
import { Log } from './log.js'

const patient = new AbortController().signal
const hurried = AbortSignal.abort()

function program(script: string): Program {
  return { name: 'part', command: '/bin/sh', args: ['-c', script], env: { PATH: '/usr/bin:/bin' }, ready: 'line' }
}

function logged(): { log: Log; text: () => string } {
  const out = new PassThrough()
  const parts: string[] = []
  out.on('data', (chunk) => parts.push(String(chunk)))
  return { log: new Log(out, 'people'), text: () => parts.join('') }
}

const alive = (pid: number | undefined) => {
  try {
    return process.kill(pid ?? 0, 0)
  } catch {
    return false
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await sleep(10)
  assert.ok(condition())
}

test('it is ready when it says so, and its lines are passed on', async () => {
  const { log, text } = logged()
  const child = new Child(program('echo one; echo two >&2; sleep 0.1; echo ready; exec sleep 100'), log)
  await child.start()
  assert.match(text(), /part {5}\| one\n/)
  // By another pipe.
  await until(() => /part {5}\| two\n/.test(text()))
  const { pid } = child
  assert.ok(alive(pid))
  await child.stop(patient)
  assert.ok(!alive(pid))
})

test('a death before it is ready is an error that tells how', async () => {
  const { log, text } = logged()
  await assert.rejects(
    new Child(program('echo broken >&2; exit 3'), log).start(),
    /part ended before it was ready \(exit code 3\)/,
  )
  await until(() => text().includes('broken'))
  await assert.rejects(new Child({ ...program(''), command: '/nowhere' }, log).start(), /ENOENT/)
})

test('a child that dies is started again', async () => {
  const { log, text } = logged()
  const child = new Child(program('echo ready; exec sleep 100'), log)
  await child.start()
  const first = child.pid
  process.kill(first ?? 0, 'SIGKILL')
  await until(() => text().includes('is ready again'))
  assert.match(text(), /ended \(SIGKILL\); it is started again in 100 ms/)
  assert.notEqual(child.pid, first)
  await child.stop(patient)
  assert.ok(!alive(child.pid))
})

test('a child that dies before it is ready again is tried on', async () => {
  const { log, text } = logged()
  const folder = `/tmp/caisson-child-test-${process.pid}`
  const child = new Child(program(`mkdir ${folder} 2>/dev/null && { echo ready; exec sleep 100; }; exit 7`), log)
  await child.start()
  process.kill(child.pid ?? 0, 'SIGKILL')
  await until(() => text().includes('exit code 7'))
  await sleep(10)
  await child.stop(patient)
  await import('node:fs/promises').then(({ rmdir }) => rmdir(folder))
})

test('a child that drains is waited for, and one that does not listen is killed in a hurry', async () => {
  const { log } = logged()
  const drains = new Child(program('trap "sleep 0.3; exit 0" TERM; echo ready; while :; do sleep 0.05; done'), log)
  await drains.start()
  const start = performance.now()
  await drains.stop(patient)
  assert.ok(performance.now() - start >= 300)

  const deaf = new Child(program('trap "" TERM; echo ready; while :; do sleep 0.05; done'), log)
  await deaf.start()
  await deaf.stop(hurried)
  assert.ok(!alive(deaf.pid))
})
