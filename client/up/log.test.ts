import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { Log } from './log.js'

function write(style: 'people' | 'json', use: (log: Log) => void): string[] {
  const out = new PassThrough()
  use(new Log(out, style))
  return String(out.read()).trimEnd().split('\n')
}

test('for people: the speaker before each line', () => {
  assert.deepEqual(
    write('people', (log) => log.pass('redis', 'hello')),
    ['redis    | hello'],
  )
})

test('for machines: one object a line, and the line that is one keeps its fields', () => {
  const [plain, json, own] = write('json', (log) => {
    log.pass('redis', 'say "hi"')
    log.pass('worker', '{"level":"warn","message":"x"}')
    log.say('worker', 'is ready again')
  }).map((line) => JSON.parse(line))
  assert.deepEqual([plain.part, plain.message], ['redis', 'say "hi"'])
  assert.deepEqual(json, { part: 'worker', level: 'warn', message: 'x' })
  assert.deepEqual([own.part, own.message], ['up', 'worker is ready again'])
})

test('for people: a line in JSON is read out', () => {
  const line = '{"time":"2026-01-01T00:00:00Z","level":"error","message":"it broke","runId":"r1","attempt":2}'
  assert.deepEqual(
    write('people', (log) => log.pass('worker', line)),
    ['worker   | error: it broke runId=r1 attempt=2'],
  )
})
