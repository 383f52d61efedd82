import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import { caisson } from '../proto/messages.js'
import { type ScratchSystem, scratchSystem } from './scratch.js'
import { collect, failsWith, type ScratchClient, spec, untilState } from './scratchClient.js'
import { checkHealth } from './scratchStranger.js'

const { State, Outcome } = caisson.v1

let system: ScratchSystem
let client: ScratchClient

before(async () => {
  system = await scratchSystem()
  client = system.client
})
after(() => system[Symbol.asyncDispose]())

describe('pace', () => {
  test('a watcher that does not read costs control nothing, and then gets all of it', async () => {
    const megabytes = 96
    const { runId } = await client.submit({ spec: spec('flood', `${megabytes * 16}`) })
    const memory = () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${system.control.process.pid}/status`, 'utf8'))?.[1]) << 10
    const before = memory()
    const slow = Array.from({ length: 4 }, () => client.watchStream({ runId }))
    for (const stream of slow) stream.once('readable', () => {})
    await untilState(client, runId, State.ENDED)
    await sleep(300)
    const grown = memory() - before
    assert.ok(grown < 64 << 20, `control grew by ${grown >> 20} MiB`)
    for (const stream of slow) {
      let bytes = 0
      for await (const event of stream) bytes += (event as caisson.v1.RunEvent).output?.data?.length ?? 0
      assert.equal(bytes, megabytes << 20)
    }
  })
})

describe('Redis', () => {
  test('near its memory limit new runs are refused, and running ones go on', async () => {
    const redis = system.redis.connect()
    const { runId } = await client.submit({ spec: spec('sleep') })
    const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
    await redis.config('SET', 'maxmemory', Math.floor(used * 1.2))
    // Control looks once a second, and takes runs until then.
    await assert.rejects(
      async () => {
        for (;;) await client.submit({ spec: spec('echo') })
      },
      failsWith(status.RESOURCE_EXHAUSTED, 'REDIS_MEMORY'),
    )
    await client.cancel({ runId })
    assert.equal((await collect(client.watch({ runId }))).at(-1)?.verdict?.outcome, Outcome.CANCELLED)
    await redis.config('SET', 'maxmemory', 512 << 20)
    await client.submit({ spec: spec('echo') })
  })

  test('away: calls fail at once, watches wait, nothing is lost', async () => {
    const { runId } = await client.submit({ spec: spec('sleep') })
    const watching = collect(client.watch({ runId }))
    await untilState(client, runId, State.RUNNING)
    // Nothing that waited for Redis would be answered in here.
    await system.redis.restart(async () => {
      const started = performance.now()
      await assert.rejects(client.submit({ spec: spec('echo') }), failsWith(status.UNAVAILABLE, 'REDIS_UNREACHABLE'))
      await assert.rejects(client.get({ runId }), failsWith(status.UNAVAILABLE, 'REDIS_UNREACHABLE'))
      assert.ok(performance.now() - started < 1_000)
      assert.deepEqual(await checkHealth(system.control.port), {
        status: 'NOT_SERVING',
      })
    })
    while (true) {
      const cancelled = await client.cancel({ runId }).catch(() => undefined)
      if (cancelled) break
      await sleep(100)
    }
    assert.equal((await watching).at(-1)?.verdict?.outcome, Outcome.CANCELLED)
  })
})
