// ImageService over workers that answer as each test says.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { caisson } from '../proto/messages.js'
import { Errands, type TakenErrand } from '../redis/errands.js'
import { StreamTail } from '../redis/tail.js'
import { type ScratchSystem, scratchSystem } from './scratch.js'
import { failsWith, type ScratchClient } from './scratchClient.js'
import { ScratchWorker } from './scratchWorker.js'

type IAnswer = caisson.errand.v1.IAnswer
type Play = (taken: TakenErrand) => IAnswer | undefined

let system: ScratchSystem
let second: ScratchWorker
let client: ScratchClient
const plays = new Map<string, Play>()
const over = new AbortController()

before(async () => {
  system = await scratchSystem()
  client = system.client
  second = await ScratchWorker.start('w2', system.redis)
  const redis = system.redis.connect()
  const errands = new Errands(redis, new StreamTail(system.redis.tail(), redis))
  for (const workerId of ['w1', 'w2']) void play(errands, workerId)
})
after(async () => {
  over.abort()
  await second[Symbol.asyncDispose]()
  await system[Symbol.asyncDispose]()
})

async function play(errands: Errands, workerId: string): Promise<void> {
  for await (const taken of errands.taken(workerId, over.signal)) {
    const answer = plays.get(workerId)?.(taken)
    if (answer) await errands.answer(taken.id, answer, true)
  }
}

function playing(one: Play | IAnswer, other: Play | IAnswer = one): void {
  const asPlay = (play: Play | IAnswer): Play => (typeof play === 'function' ? play : () => play)
  plays.set('w1', asPlay(one)).set('w2', asPlay(other))
}

const image = (name: string, seconds: number): caisson.v1.IImage => ({ references: [name], usedAt: { seconds } })
const failed = (reason: string, message = reason): IAnswer => ({ failed: { reason, message } })

test('the images of all workers, newest use first, each with its worker', async () => {
  playing({ listed: { images: [image('a', 1), image('b', 5)] } }, { listed: { images: [image('a', 3)], truncated: true } })
  const { images, truncated, failures } = await client.listImages({})
  assert.deepEqual(
    images.map(({ references, workerId }) => [references?.[0], workerId]),
    [
      ['b', 'w1'],
      ['a', 'w2'],
      ['a', 'w1'],
    ],
  )
  assert.deepEqual([truncated, failures], [true, []])
  assert.equal((await client.listImages({ workerId: 'w2' })).images.length, 1)
})

test('what one worker cannot do is in the answer', async () => {
  playing({ listed: { images: [image('a', 1)] } }, failed('INTERNAL', 'its disk is broken'))
  const { images, failures } = await client.listImages({})
  assert.equal(images.length, 1)
  assert.deepEqual(
    failures.map(({ workerId, failure }) => [workerId, failure?.reason, failure?.message]),
    [['w2', 'INTERNAL', 'its disk is broken']],
  )
})

test('one image: of the worker that used it last; not found where nobody has it', async () => {
  playing({ details: { image: image('a', 1) } }, { details: { image: image('a', 2) } })
  assert.equal((await client.getImage({ image: 'a' })).image?.workerId, 'w2')
  assert.equal((await client.getImage({ image: 'a', workerId: 'w1' })).image?.workerId, 'w1')
  playing({ details: { image: image('a', 1) } }, failed('IMAGE_UNKNOWN'))
  assert.equal((await client.getImage({ image: 'a' })).image?.workerId, 'w1')
  playing(failed('IMAGE_UNKNOWN'))
  await assert.rejects(client.getImage({ image: 'a' }), failsWith(5, 'IMAGE_UNKNOWN'))
  playing(failed('IMAGE_UNKNOWN'), failed('SOMETHING_NEW', 'of a newer worker'))
  await assert.rejects(client.getImage({ image: 'a' }), failsWith(13, 'WORKER_FAILED'))
  // An answer to something else is none.
  playing({ listed: {} })
  await assert.rejects(client.getImage({ image: 'a' }), failsWith(5, 'IMAGE_UNKNOWN'))
})

test('removed where it can be; refused where nobody could', async () => {
  playing({ removed: { references: ['a'], freedBytes: 7 } }, failed('IMAGE_IN_USE', 'run r1 uses it'))
  const { removed, failures } = await client.removeImage({ image: 'a' })
  assert.deepEqual(
    removed.map(({ workerId, freedBytes }) => [workerId, freedBytes]),
    [['w1', 7]],
  )
  assert.equal(failures[0]?.workerId, 'w2')
  playing(failed('IMAGE_UNKNOWN'), failed('IMAGE_IN_USE', 'run r1 uses it'))
  await assert.rejects(client.removeImage({ image: 'a' }), failsWith(9, 'IMAGE_IN_USE'))
})

test('a request that is wrong reaches no worker', async () => {
  playing(() => assert.fail('asked'))
  await assert.rejects(client.getImage({ image: '' }), failsWith(3, 'INVALID_FIELD', 'image'))
  await assert.rejects(client.removeImage({ image: 'sha256:1', workerId: '\n' }), failsWith(3, 'INVALID_FIELD', 'worker_id'))
  await assert.rejects(client.listImages({ workerId: 'w3' }), failsWith(5, 'WORKER_NOT_FOUND'))
})
