import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cores, parseConfig, UsageError } from './config.js'

test('defaults', () => {
  const config = parseConfig(['--redis', '/redis.sock'])
  assert.ok(config)
  assert.equal(config.name, 'default')
  assert.equal(config.cpuMillis, cores() * 2000)
  assert.ok(config.memoryBytes > 0)
  assert.match(config.workerId, /^w[0-9a-f]{16}$/)
  assert.deepEqual(config.images, [])
})

test('the address of Redis may be in the environment, and the command line goes before it', () => {
  const environment = { CAISSON_REDIS: 'redis://:secret@r' }
  assert.equal(parseConfig([], environment)?.redis, 'redis://:secret@r')
  assert.equal(parseConfig(['--redis', '/r.sock'], environment)?.redis, '/r.sock')
})

test('help is no error', () => {
  assert.equal(parseConfig(['--help']), undefined)
})

test('flags', () => {
  const args = [
    '--redis',
    'redis://r',
    '--images',
    '/a',
    '--images',
    '/b',
    '--cpu-millis',
    '500',
    '--pool',
    '3',
    '--drain-ms',
    '0',
  ]
  const config = parseConfig(args)
  assert.ok(config)
  assert.deepEqual([config.images, config.cpuMillis, config.pool, config.drainMs], [['/a', '/b'], 500, 3, 0])
})

const wrong: [string[], RegExp][] = [
  [[], /--redis is missing/],
  [['--redis', 'redis://r', '--redis-ca', '/etc/passwd'], /--redis-ca is of use only with --redis rediss:/],
  [['--redis', 'rediss://r', '--redis-ca', '/nowhere'], /--redis-ca \/nowhere cannot be read: ENOENT/],
  [['--redis', 'rediss://r', '--redis-ca', '/etc/passwd'], /--redis-ca \/etc\/passwd holds no certificate/],
  [['--redis', 'r', '--name', '../x'], /--name "\.\.\/x": must be/],
  [['--redis', 'r', '--state', 'here'], /--state "here": must be an absolute path/],
  [['--redis', 'r', '--images', 'here'], /--images/],
  [['--redis', 'r', '--store-bytes', '1000'], /--store-bytes "1000": must be a whole number from 1048576/],
  [['--redis', 'r', '--store-bytes', '10G'], /--store-bytes/],
  [['--redis', 'r', '--layer-bytes', '0'], /--layer-bytes/],
  [['--redis', 'r', '--layer-entries', '1000001'], /--layer-entries "1000001": must be a whole number from 1 to 1000000/],
  [['--redis', 'r', '--cpu-millis', '-1'], /--cpu-millis/],
  [['--redis', 'r', '--cpu-millis', '1e3'], /--cpu-millis "1e3": must be a whole number from 10/],
  [['--redis', 'r', '--memory-bytes', '1'], /--memory-bytes/],
  [['--redis', 'r', '--pool', '0'], /--pool/],
  [['--redis', 'r', '--what'], /--what/],
  [['--redis', 'r', 'word'], /word/],
]

for (const [args, message] of wrong) {
  test(`refused: ${args.join(' ')}`, () => {
    assert.throws(
      () => parseConfig(args),
      (error) => error instanceof UsageError && message.test(error.message),
    )
  })
}
