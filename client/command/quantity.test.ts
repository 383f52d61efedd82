import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectEnv, collectPair, parseCores, parseCount, parseDuration, parseSize, showMicros, showSize } from './quantity.js'

test('sizes are powers of 1,024, in any usual spelling', () => {
  assert.equal(parseSize('4096'), 4096)
  assert.equal(parseSize('256M'), 268435456)
  assert.equal(parseSize('1.5g'), 1610612736)
  assert.equal(parseSize('64KiB'), 65536)
  for (const wrong of ['', '-1', 'M', '1.5.2', '1e3', '5 M', '0x10', '1P']) assert.throws(() => parseSize(wrong), wrong)
  assert.throws(() => parseSize('99999999999T'))
})

test('durations are milliseconds; a bare number is seconds', () => {
  assert.equal(parseDuration('90'), 90_000)
  assert.equal(parseDuration('250ms'), 250)
  assert.equal(parseDuration('1.5s'), 1500)
  assert.equal(parseDuration('2m'), 120_000)
  assert.equal(parseDuration('7d'), 604_800_000)
  for (const wrong of ['', '-1', 's', '1 s', '2y', '1M']) assert.throws(() => parseDuration(wrong), wrong)
})

test('cores and counts', () => {
  assert.equal(parseCores('1.5'), 1500)
  assert.equal(parseCores('0.01'), 10)
  assert.equal(parseCount('128'), 128)
  for (const wrong of ['-1', '1.5', 'x', '']) assert.throws(() => parseCount(wrong), wrong)
})

test('pairs: the last one of a name wins, and a value may hold "="', () => {
  assert.deepEqual(collectPair('a=1=2', { a: '0', b: '' }), { a: '1=2', b: '' })
  assert.throws(() => collectPair('=1'))
  assert.throws(() => collectPair('a'))
  process.env['CAISSON_TEST_VALUE'] = 'x'
  assert.deepEqual(collectEnv('CAISSON_TEST_VALUE'), { CAISSON_TEST_VALUE: 'x' })
  assert.deepEqual(collectEnv('CAISSON_TEST_ABSENT'), {})
})

test('numbers for people', () => {
  assert.deepEqual([0, 1023, 1536, 2 ** 28, 5 * 2 ** 40].map(showSize), ['0 B', '1023 B', '1.5 KiB', '256 MiB', '5 TiB'])
  assert.deepEqual([999, 1500, 25_000, 1_234_567, 600e6].map(showMicros), ['999 µs', '1.5 ms', '25 ms', '1.23 s', '10 min'])
})
