// Redis goes away under runs: they go on, and no byte of their logs is lost or doubled.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Caisson } from '../../client/sdk/caisson.js'
import { freePort } from '../../client/up/port.js'
import { small } from '../harness/crowd.js'
import { container, describeVerdict, finish, sh } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { OwnRedis } from '../harness/redis.js'

const folder = await mkdtemp(join(tmpdir(), 'caisson-t-redis-'))
const redis = new OwnRedis(folder, await freePort())
const fixture = await Fixture.start({}, async () => {
  await redis.start()
  const undo = async () => {
    await redis.stop()
    await rm(folder, { recursive: true })
  }
  return { options: { args: ['--redis', redis.url] }, undo }
})

test('Redis stopped for 5 s and started again', { timeout: 120_000 }, async () => {
  const finished = await talkers(fixture.caisson)
  await sleep(1500)
  await redis.stop()
  await sleep(5000)
  await redis.start()
  await expectEveryLine(finished)
})

test('Redis killed with -9, and started again', { timeout: 120_000 }, async () => {
  const finished = await talkers(fixture.caisson)
  await sleep(1500)
  await redis.stop('SIGKILL')
  await redis.start()
  await expectEveryLine(finished)
})

test('Redis that does not answer for 5 s', { timeout: 120_000 }, async () => {
  const finished = await talkers(fixture.caisson)
  await sleep(1500)
  redis.signal('SIGSTOP')
  await sleep(5000)
  redis.signal('SIGCONT')
  await expectEveryLine(finished)
})

const lines = 400

async function talkers(caisson: Caisson) {
  const args = sh(`i=0; while [ $i -lt ${lines} ]; do echo line $i; i=$((i+1)); sleep 0.02; done`)
  const submitted = await Promise.all(Array.from({ length: 8 }, () => caisson.submit(container({ args, limits: small }))))
  return submitted.map(({ runId }) => finish(caisson.watch(runId)))
}

async function expectEveryLine(finished: ReturnType<typeof finish>[]): Promise<void> {
  const expected = Array.from({ length: lines }, (_, i) => `line ${i}\n`).join('')
  for (const one of await Promise.all(finished)) {
    assert.equal(one.verdict.outcome, 'EXITED', describeVerdict(one))
    assert.equal(one.stdout.toString(), expected)
  }
}
