import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { after, afterEach, describe, test } from 'node:test'
import { bullPrefix } from '../proto/job.js'
import { lastTakeKey, standingKey, workerKey } from '../proto/keys.js'
import { caisson } from '../proto/messages.js'
import { readEvents } from './events.js'
import { Handovers } from './handovers.js'
import { takeRun } from './scratch.js'
import { ScratchRuns } from './scratchRuns.js'
import type { ClaimedRun, TakeRequest } from './take.js'

const { State } = caisson.v1
const placement = { workerId: 'w1', backend: caisson.v1.Backend.BACKEND_CONTAINER }
const limits = { wallMs: 1000, cpuMillis: 500, memoryBytes: 1000 }
const atHand = { cpuMillis: 500, memoryBytes: 1000, digests: [['oci:/images/a', 'sha256:aa']] as [string, string][] }

const scratch = await ScratchRuns.open()
const { redis, runs } = scratch
after(() => scratch[Symbol.asyncDispose]())
afterEach(() => redis.del(standingKey('container')))

const requestOf = (workerId = 'w1'): TakeRequest => ({
  queue: 'container',
  token: randomUUID(),
  lockMs: 30_000,
  placement: { ...placement, workerId },
  atHand,
})

/** A request of this worker that found nothing, and what it was handed since. */
async function standing(workerId = 'w1', redis = scratch.server.connect()) {
  const handed: [token: string, run: ClaimedRun | undefined][] = []
  const handovers = new Handovers(redis, workerId, 'container', (...each) => handed.push(each))
  await handovers.listen()
  await scratch.redis.set(workerKey(workerId), '')
  const request = requestOf(workerId)
  assert.equal((await runs.take(request)).run, undefined)
  return { request, handed, handovers }
}

const handedRuns = ({ handed }: { handed: [string, ClaimedRun | undefined][] }) => handed.map(([, run]) => run?.runId)
const statesOf = async (runId: string) =>
  (await readEvents(redis, runId)).flatMap(({ state }) => (state ? [State[state.state ?? 0]] : []))

describe('a request that stands', () => {
  test('is answered by the submit, once, with times of the submit', async () => {
    const worker = await standing()
    const before = Date.now()
    const created = await scratch.created({ limits })
    const next = await scratch.created({ limits })
    await redis.ping()
    assert.deepEqual(handedRuns(worker), [created])
    const [token, run] = worker.handed[0] ?? []
    assert.equal(token, worker.request.token)
    assert.deepEqual([run?.attempt, run?.startingWith, run?.spec.args, run?.limits.wallMs], [1, 'sha256:aa', ['true'], 1000])
    const events = await readEvents(redis, created)
    assert.deepEqual(await statesOf(created), ['QUEUED', 'PREPARING', 'STARTING'])
    for (const { time } of events) assert.ok(Number(time?.seconds) * 1000 >= before - 1000)
    assert.equal((await runs.take(requestOf())).run?.runId, next)
    worker.handovers.close()
  })

  test('is answered also where the connection was only just made', async () => {
    const connection = scratch.server.connect()
    await once(connection, 'connect')
    const worker = await standing('w1', connection)
    if (connection.status !== 'ready') await once(connection, 'ready')
    const created = await scratch.created({ limits })
    await connection.ping()
    assert.deepEqual(handedRuns(worker), [created])
    worker.handovers.close()
  })

  test('asked again with its token it has the same answer, and none when that run is over', async () => {
    const worker = await standing()
    const runId = await scratch.created({ limits })
    for (let tries = 0; tries < 2; tries++) assert.equal((await runs.take(worker.request)).run?.runId, runId)
    // Also after Redis was away for hours.
    assert.ok((await redis.pttl(lastTakeKey('w1', 'container'))) > 80_000_000)
    assert.ok(await runs.end(runId, 1, { outcome: caisson.v1.Outcome.EXITED }))
    assert.deepEqual(await runs.take(worker.request), { othersWait: true })
    worker.handovers.close()
  })

  test('comes along with the end of a run, and stands or is answered behind it; also when it is sent again', async () => {
    const worker = await standing()
    const first = await scratch.created({ limits })
    const [second, third] = [requestOf(), requestOf()]
    const end = { verdict: { outcome: caisson.v1.Outcome.EXITED } }
    for (let tries = 0; tries < 2; tries++)
      assert.deepEqual(await runs.conclude(first, 1, end, second), { isOurs: true, taken: { othersWait: false } })
    const next = await scratch.created({ limits })
    await redis.ping()
    assert.deepEqual(
      worker.handed.map(([token, run]) => [token, run?.runId]),
      [
        [worker.request.token, first],
        [second.token, next],
      ],
    )
    const waiting = await scratch.created({ limits })
    for (let tries = 0; tries < 2; tries++) {
      const { isOurs, taken } = await runs.conclude(next, 1, end, third)
      assert.deepEqual([isOurs, taken.run?.runId, taken.othersWait], [true, waiting, false])
    }
    worker.handovers.close()
  })

  test('comes also with a report that is fenced off', async () => {
    const worker = await standing()
    const runId = await scratch.created({ limits })
    const end = { verdict: { outcome: caisson.v1.Outcome.EXITED } }
    assert.deepEqual(await runs.conclude(runId, 2, end, requestOf()), { isOurs: false, taken: { othersWait: false } })
    assert.equal((await runs.get(runId))?.state, State.STARTING)
    worker.handovers.close()
  })

  test('is withdrawn, and gives what was handed over before', async () => {
    const worker = await standing()
    await runs.take({ ...worker.request, lockMs: 0 })
    const waits = await scratch.created({ limits })
    assert.deepEqual(worker.handed, [])
    assert.ok(await takeRun(runs, waits, placement))
    assert.equal((await runs.take(worker.request)).run, undefined)
    const handed = await scratch.created({ limits })
    assert.equal((await runs.take({ ...worker.request, lockMs: 0 })).run?.runId, handed)
    worker.handovers.close()
  })

  test('of a worker that died is passed over for one that lives', async () => {
    const [dead, living] = [await standing('w1'), await standing('w2')]
    dead.handovers.close()
    await scratch.server.connect().ping()
    const first = await scratch.created({ limits })
    assert.deepEqual([handedRuns(dead), (await runs.get(first))?.placement?.workerId], [[], 'w2'])
    living.handovers.close()
    await scratch.server.connect().ping()
    const second = await scratch.created({ limits })
    assert.equal((await runs.get(second))?.state, State.QUEUED)
    assert.ok(await takeRun(runs, second, placement))
  })

  test('of a worker without heartbeat, which may be out of reach, is passed over too', async () => {
    const worker = await standing()
    await redis.del(workerKey('w1'))
    const runId = await scratch.created({ limits })
    assert.deepEqual([handedRuns(worker), (await runs.get(runId))?.state], [[], State.QUEUED])
    assert.ok(await takeRun(runs, runId, placement))
    worker.handovers.close()
  })

  test('is answered by a run that another worker gives back', async () => {
    const runId = await scratch.created({ limits })
    assert.ok(await takeRun(runs, runId, placement))
    const worker = await standing('w2')
    assert.ok(await runs.requeue(runId, 1, 'the worker is stopping'))
    await redis.ping()
    assert.deepEqual(
      worker.handed.map(([, run]) => [run?.runId, run?.attempt]),
      [[runId, 2]],
    )
    assert.deepEqual(await statesOf(runId), ['QUEUED', 'PREPARING', 'QUEUED', 'PREPARING', 'STARTING'])
    worker.handovers.close()
  })

  test('is on no disk: after a restart of Redis the job is marked, and the worker asks again', async () => {
    const worker = await standing()
    await scratch.server.restart(async () => {})
    assert.equal(await redis.hlen(standingKey('container')), 0)
    const runId = await scratch.created({ limits })
    assert.equal(await redis.zcard(`${bullPrefix}:container:marker`), 1)
    assert.deepEqual(worker.handed, [])
    assert.equal((await runs.take(worker.request)).run?.runId, runId)
    worker.handovers.close()
  })
})
