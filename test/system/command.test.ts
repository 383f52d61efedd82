// `caisson run` behaves like a local command.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { Fixture } from '../harness/fixture.js'
import { busybox, images } from '../harness/images.js'
import { command } from '../harness/instance.js'

const fixture = await Fixture.start()

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

function caisson(
  args: string[],
  input: string | undefined = '',
  during?: (kill: (signal: NodeJS.Signals) => void, text: string) => void,
): Promise<Ended> {
  const [verb = '', ...rest] = args
  const child = spawn(process.execPath, [command, verb, '--address', fixture.instance.address, ...rest], { stdio: 'pipe' })
  const ended: Ended = { code: null, stdout: '', stderr: '' }
  child.stdout.on('data', (data) => {
    ended.stdout += data
    during?.((signal) => child.kill(signal), ended.stdout)
  })
  child.stderr.on('data', (data) => {
    ended.stderr += data
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  return new Promise((resolve) => child.on('close', (code) => resolve({ ...ended, code })))
}

const runs = (...args: string[]) => ['run', '--isolation', 'container', busybox, '--', ...args]

test('streams, exit code', { timeout: 30_000 }, async () => {
  const ended = await caisson(runs('sh', '-c', 'echo out; echo err >&2; exit 42'))
  assert.deepEqual(ended, { code: 42, stdout: 'out\n', stderr: 'err\n' })
})

test('input', { timeout: 30_000 }, async () => {
  assert.equal((await caisson(runs('cat'), 'through and through\n')).stdout, 'through and through\n')
})

test('128+n for a signal of its own', { timeout: 30_000 }, async () => {
  assert.equal((await caisson(runs('sh', '-c', 'kill -SEGV $$'))).code, 139)
})

test('its own failures are told apart', { timeout: 30_000 }, async () => {
  const refused = await caisson(['run', '--isolation', 'container', `oci:${images}/nowhere`, '--', 'true'])
  assert.ok((refused.code ?? 0) >= 125 && /nowhere/.test(refused.stderr), JSON.stringify(refused))
  assert.equal(refused.stdout, '')
})

/** Ctrl-C, once the script says that it is ready. */
function interrupted(script: string): Promise<Ended> {
  let sent = false
  return caisson(runs('sh', '-c', script), '', (kill, text) => {
    if (sent || !text.includes('ready')) return
    sent = true
    kill('SIGINT')
  })
}

test('Ctrl-C reaches what a shell waits for', { timeout: 30_000 }, async () => {
  const ended = await interrupted('echo ready; sleep 1000; echo not reached')
  assert.equal(ended.code, 130)
  assert.match(ended.stderr, /^caisson: SIGNALED: killed by signal 2 \(SIGINT\)\n$/)
})

test('Ctrl-C reaches the program', { timeout: 30_000 }, async () => {
  const ended = await interrupted('trap "echo caught; exit 9" INT; echo ready; while :; do sleep 0.05; done')
  assert.deepEqual([ended.code, ended.stdout], [9, 'ready\ncaught\n'])
})

test('--json: one object a line', { timeout: 30_000 }, async () => {
  const { stdout, code } = await caisson(['run', '--json', '--isolation', 'container', busybox, '--', 'echo', 'hi'])
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal(code, 0)
  assert.equal(events.at(-1)?.type, 'verdict')
})

test('submit, watch, show, ps, cancel, images', { timeout: 60_000 }, async () => {
  const submitted = await caisson(['submit', '--isolation', 'container', busybox, '--', 'sh', '-c', 'echo here; sleep 30'])
  const runId = submitted.stdout.trim()
  assert.match(runId, /^r[0-9a-z]{25}$/)
  assert.match((await caisson(['ps'])).stdout, new RegExp(runId))
  const watched = caisson(['watch', runId])
  assert.equal((await caisson(['cancel', runId])).code, 0)
  assert.match((await watched).stderr, /CANCELLED|cancelled/)
  const shown = JSON.parse((await caisson(['show', '--json', runId])).stdout)
  assert.equal(shown.verdict.outcome, 'CANCELLED')
  assert.match((await caisson(['images'])).stdout, /busybox/)
})

test('of several runs each has its turn, also after one that is not there', { timeout: 60_000 }, async () => {
  const nowhere = `r${'0'.repeat(25)}`
  const runId = (await caisson(['submit', '--isolation', 'container', busybox, '--', 'sleep', '30'])).stdout.trim()
  const cancelled = await caisson(['cancel', nowhere, runId])
  assert.deepEqual([cancelled.code, cancelled.stdout], [125, `${runId} is being cancelled\n`])
  assert.match(cancelled.stderr, new RegExp(nowhere))
  await caisson(['watch', runId])
  const forgotten = await caisson(['rm', '--json', nowhere, runId])
  assert.deepEqual([forgotten.code, JSON.parse(forgotten.stdout)], [125, { runId, deleted: true }])
  assert.equal(JSON.parse(forgotten.stderr).error.reason, 'RUN_NOT_FOUND')
})

test('--json: a failure of the command itself is an object too', { timeout: 30_000 }, async () => {
  const failed = await caisson(['ps', '--json', '--token-file', '/nowhere'])
  const { code, reason, message } = JSON.parse(failed.stderr).error
  assert.deepEqual([failed.code, failed.stdout, code, reason], [125, '', 'UNKNOWN', ''])
  assert.match(message, /\/nowhere/)
})

test('doctor says what this machine can do, and why not', { timeout: 60_000 }, async () => {
  const child = spawn(process.execPath, [command, 'doctor', '--json'], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  for await (const data of child.stdout) text += data
  assert.ok(JSON.parse(text))
})
