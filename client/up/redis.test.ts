import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { askRedisPromise, describePromise, evicts, redisAnswers, redisArgs } from './redis.js'

let folder: string
let socket: string
let server: ChildProcess

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'caisson-redis-test-'))
  socket = join(folder, 'redis.sock')
  server = spawn('redis-server', redisArgs(socket, folder, 64 << 20), { stdio: 'ignore' })
  await redisAnswers(socket, AbortSignal.timeout(10_000))
})

after(async () => {
  server.kill('SIGKILL')
  await once(server, 'exit')
  await rm(folder, { recursive: true })
})

test('its own Redis keeps what is acknowledged and evicts nothing', async () => {
  const promise = await askRedisPromise(socket)
  const { version, ...config } = promise
  assert.match(version, /^\d+\.\d+/)
  assert.deepEqual(config, { appendonly: 'yes', appendfsync: 'always', maxmemoryPolicy: 'noeviction', maxmemoryBytes: 64 << 20 })
  assert.equal(evicts(promise), false)
  assert.match(describePromise(promise), /every acknowledged run on disk/)
})

test('lesser promises are told as what they are', () => {
  const promise = { version: '7', appendonly: 'yes', appendfsync: 'everysec', maxmemoryPolicy: 'noeviction', maxmemoryBytes: 1 }
  assert.match(describePromise(promise), /may lose/)
  assert.match(describePromise({ ...promise, appendonly: 'no' }), /no append-only file/)
  assert.ok(evicts({ ...promise, maxmemoryPolicy: 'allkeys-lru' }))
  assert.match(describePromise({ version: '7' }), /does not tell/)
  assert.ok(!evicts({ version: '7' }))
})

test('a Redis that is not there is an error', async () => {
  await assert.rejects(askRedisPromise(join(folder, 'none.sock')))
})
