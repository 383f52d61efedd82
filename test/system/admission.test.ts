// Redis near its memory limit refuses new runs, before it refuses anything else: what goes on still ends well.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import type { CaissonError } from '../../client/sdk/error.js'
import { container, finish, sh } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { until } from '../harness/until.js'

const fixture = await Fixture.start()
const redis = (...args: string[]) =>
  execFileSync('redis-cli', ['-s', fixture.instance.redisSocket, ...args], { encoding: 'utf8' })

test('new runs are refused while those that go on go on', { timeout: 60_000 }, async () => {
  const { caisson } = fixture
  const before = redis('config', 'get', 'maxmemory').split('\n')[1] ?? '0'
  const running = await caisson.submit(container({ args: sh('for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.5; done') }))
  const finished = finish(caisson.watch(running.runId))
  await until('it runs', 10_000, async () => (await caisson.get(running.runId)).state === 'RUNNING')
  const used = Number(/used_memory:(\d+)/.exec(redis('info', 'memory'))?.[1])
  redis('config', 'set', 'maxmemory', String(Math.ceil(used * 1.3)))
  try {
    await until('submits are refused', 10_000, async () => {
      const refusal = await caisson.submit(container({ args: ['true'] })).then(
        () => undefined,
        (error: CaissonError) => error,
      )
      if (refusal) assert.deepEqual([refusal.code, refusal.reason], ['RESOURCE_EXHAUSTED', 'REDIS_MEMORY'])
      return refusal !== undefined
    })
    const { verdict, stdout } = await finished
    assert.deepEqual([verdict.outcome, stdout.toString()], ['EXITED', '1\n2\n3\n4\n5\n6\n7\n8\n'])
  } finally {
    redis('config', 'set', 'maxmemory', before)
  }
  await until('submits are taken again', 10_000, () =>
    caisson.submit(container({ args: ['true'] })).then(
      () => true,
      () => false,
    ),
  )
})
