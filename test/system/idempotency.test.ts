// The same key with the same spec is the same run.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Caisson } from '../../client/sdk/caisson.js'
import type { CaissonError } from '../../client/sdk/error.js'
import { container } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'

const fixture = await Fixture.start()
const spec = container({ args: ['true'], env: { B: '2', A: '1' }, labels: { x: 'y', a: 'b' } })

test('a second submit returns the first one', async () => {
  const { caisson } = fixture
  const first = await caisson.submit(spec, { idempotencyKey: 'once' })
  const reordered = { ...spec, env: { A: '1', B: '2' }, labels: { a: 'b', x: 'y' } }
  const second = await caisson.submit(reordered, { idempotencyKey: 'once' })
  assert.deepEqual([first.created, second.created, second.runId], [true, false, first.runId])
  assert.equal((await caisson.run(spec, { idempotencyKey: 'once' }).verdict()).outcome, 'EXITED')
})

test('another spec under the same key is refused', async () => {
  const { caisson } = fixture
  await caisson.submit(spec, { idempotencyKey: 'taken' })
  for (const other of [
    { ...spec, args: ['false'] },
    { ...spec, priority: 1 },
    { ...spec, limits: { pids: 5 } },
  ]) {
    await assert.rejects(
      caisson.submit(other, { idempotencyKey: 'taken' }),
      (error: CaissonError) => error.code === 'ALREADY_EXISTS' && error.reason === 'IDEMPOTENCY_CONFLICT',
    )
  }
})

test('many submits at once create one run', async () => {
  const clients = Array.from({ length: 5 }, () => Caisson.connect({ address: fixture.instance.address }))
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => clients[i % 5]?.submit(spec, { idempotencyKey: 'race' })),
  )
  for (const client of clients) client.close()
  assert.equal(new Set(answers.map((answer) => answer?.runId)).size, 1)
  assert.equal(answers.filter((answer) => answer?.created).length, 1)
})

test('the key is free again once the run is deleted', async () => {
  const { caisson } = fixture
  const first = await caisson.submit(spec, { idempotencyKey: 'again' })
  await caisson.watch(first.runId).verdict()
  await caisson.delete(first.runId)
  const second = await caisson.submit(spec, { idempotencyKey: 'again' })
  assert.equal(second.created, true)
  assert.notEqual(second.runId, first.runId)
})
