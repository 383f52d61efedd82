import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import { credentialKey } from '../proto/keys.js'
import { caisson } from '../proto/messages.js'
import { Seal } from '../proto/seal.js'
import { Credentials } from './credentials.js'
import { takeRun } from './scratch.js'
import { ScratchRuns } from './scratchRuns.js'
import { verdictOf } from './verdicts.js'

const { Effect } = caisson.v1
const placement = { workerId: 'w1', backend: caisson.v1.Backend.BACKEND_CONTAINER }
const seal = new Seal(randomBytes(32))

const scratch = await ScratchRuns.open()
const { redis, runs, submissions } = scratch
const credentials = new Credentials(redis)
after(() => scratch[Symbol.asyncDispose]())

const submitted = (spec: caisson.v1.IRunSpec = {}, secret = 'hush') =>
  scratch.created({
    spec: { image: 'alpine', ...spec },
    ...(secret !== '' && { sealCredential: (runId: string) => seal.close(Buffer.from(secret), runId) }),
  })

async function read(runId: string): Promise<string | undefined> {
  const sealed = await credentials.of(runId)
  return typeof sealed === 'string' ? sealed : seal.open(sealed, runId)?.toString()
}

async function claimed(runId: string, attempt = 1): Promise<void> {
  assert.equal((await takeRun(runs, runId, placement))?.attempt, attempt)
  assert.ok(await runs.starting(runId, attempt, 'sha256:00'))
}

test('kept sealed, for a day at most, until the program runs', async () => {
  const runId = await submitted()
  const ttl = await redis.pttl(credentialKey(runId))
  assert.ok(ttl > 86_390_000 && ttl <= 86_400_000)
  assert.ok(!(await redis.getBuffer(credentialKey(runId)))?.includes('hush'))
  assert.equal(await read(runId), 'hush')
  await claimed(runId)
  assert.equal(await read(runId), 'hush')
  assert.ok(await runs.running(runId, 1))
  assert.equal(await redis.exists(credentialKey(runId)), 0)
  assert.equal(await read(runId), 'lost')
})

test('no longer than the run may wait', async () => {
  const ttl = await redis.pttl(credentialKey(await submitted({ startWithinMs: 5000 })))
  assert.ok(ttl > 0 && ttl <= 5000)
})

test('the next attempt has it', async () => {
  const runId = await submitted()
  await claimed(runId)
  assert.ok(await runs.requeue(runId, 1, 'lost'))
  assert.equal(await read(runId), 'hush')
  await claimed(runId, 2)
  assert.ok(await runs.running(runId, 2))
  assert.equal(await read(runId), 'lost')
})

test('where a program may run again, until the end', async () => {
  const runId = await submitted({ retryAfterStart: true })
  await claimed(runId)
  assert.ok(await runs.running(runId, 1))
  assert.equal(await read(runId), 'hush')
  assert.ok(await runs.end(runId, 1, verdictOf('EXITED', Effect.COMPLETED, '')))
  assert.equal(await redis.exists(credentialKey(runId)), 0)
})

test('cancelled in the queue, it is gone', async () => {
  const runId = await submitted()
  await submissions.cancel(runId)
  assert.equal(await redis.exists(credentialKey(runId)), 0)
})

test('a run without one has none', async () => {
  assert.equal(await read(await submitted({}, '')), 'none')
})
