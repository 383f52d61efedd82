import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { caisson } from '../../proto/messages.js'
import { Gathered } from '../../redis/command.js'
import type { Report } from '../../redis/runs.js'
import { Deferred } from '../deferred.js'
import { LogWriter } from './writer.js'

const { Stream } = caisson.agent.v1
const { STDOUT, STDERR } = Stream

/** A store that answers when the test says so. */
class Store {
  readonly reports: Report[] = []
  readonly credit: Record<number, number> = { [STDOUT]: 0, [STDERR]: 0 }
  readonly refusals: unknown[] = []
  exceededCount = 0
  fencedCount = 0
  #answers: Deferred<boolean>[] = []
  #automatic: boolean

  constructor(automatic: boolean) {
    this.#automatic = automatic
  }

  report(report: Report): Promise<boolean> {
    this.reports.push({ ...report, events: (report.events ?? []).map(copied) })
    if (this.#automatic) return Promise.resolve(true)
    const answer = new Deferred<boolean>()
    this.#answers.push(answer)
    return answer.promise
  }

  async answer(value: boolean | Error): Promise<void> {
    const answer = this.#answers.shift()
    if (value instanceof Error) answer?.reject(value)
    else answer?.resolve(value)
    await turn()
  }

  acknowledged(stream: caisson.agent.v1.Stream, bytes: number): void {
    this.credit[stream] = (this.credit[stream] ?? 0) + bytes
  }

  exceeded(): void {
    this.exceededCount++
  }

  fenced(): void {
    this.fencedCount++
  }

  refused(error: unknown): void {
    this.refusals.push(error)
  }

  /** Every report in a line: "running", stream and text, "truncated", "verdict". */
  get told(): string[] {
    return this.reports.map(({ running, events, verdict }) => {
      const texts = (events ?? []).map(({ output }) =>
        output ? `${output.stream}@${output.offset}:${textOf(output.data)}` : 'truncated',
      )
      return [...(running ? ['running'] : []), ...texts, ...(verdict ? [`verdict ${verdict.message ?? ''}`.trim()] : [])].join(
        ' ',
      )
    })
  }
}

const text = (value: string) => Buffer.from(value)
type Event = NonNullable<Report['events']>[number]
type Data = NonNullable<Event['output']>['data']
const textOf = (data: Data) => String(data instanceof Gathered ? Buffer.concat(data.parts) : Buffer.from(data ?? ''))

/** As Redis would have it: what the writer does with its memory afterwards does not show. */
const copied = (event: Event): Event =>
  event.output?.data instanceof Gathered
    ? ({
        ...event,
        output: { ...event.output, data: new Gathered(event.output.data.parts.map((part) => Buffer.from(part))) },
      } as Event)
    : event

test('a whole short run is one report', async () => {
  const store = new Store(true)
  const log = new LogWriter(store, 1, 100)
  log.running()
  log.output(STDOUT, 0, text('hi'))
  assert.equal(await log.end({ outcome: 1 }), true)
  assert.deepEqual(store.told, ['running 1@0:hi verdict'])
})

test('that it runs is told soon, if nothing else is', async ({ mock }) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  const store = new Store(true)
  const log = new LogWriter(store, 1, 100)
  log.running()
  await turn()
  assert.deepEqual(store.told, [])
  mock.timers.tick(20)
  await turn()
  assert.deepEqual(store.told, ['running'])
  await log.flush()
})

test('the first output is not delayed; what comes during a write grows together, streams in order', async () => {
  const store = new Store(false)
  const log = new LogWriter(store, 1, 100)
  log.output(STDOUT, 0, text('a'))
  await turn()
  log.output(STDOUT, 1, text('b'))
  log.output(STDOUT, 2, text('c'))
  log.output(STDERR, 0, text('x'))
  log.output(STDOUT, 3, text('d'))
  await turn()
  assert.deepEqual(store.told, ['1@0:a'])
  assert.equal(store.credit[STDOUT], 0)
  await store.answer(true)
  assert.deepEqual(store.told, ['1@0:a', '1@1:bc 2@0:x 1@3:d'])
  assert.equal(store.credit[STDOUT], 1)
  await store.answer(true)
  assert.deepEqual([store.credit[STDOUT], store.credit[STDERR]], [4, 1])
  assert.equal(log.isWriting, false)
})

test('output is cut at the limit, then Truncated, then the verdict; credit for all of it comes back', async () => {
  const store = new Store(true)
  const log = new LogWriter(store, 1, 5)
  log.output(STDOUT, 0, text('123'))
  log.output(STDERR, 0, text('456'))
  log.output(STDOUT, 3, text('789'))
  await turn()
  await log.end({ message: 'limit' })
  assert.deepEqual(store.told, ['1@0:123 2@0:45 truncated', 'verdict limit'])
  assert.deepEqual([store.credit[STDOUT], store.credit[STDERR]], [6, 3])
  assert.equal(store.exceededCount, 1)
  assert.equal(log.budget.keptBytes, 5)
})

test('chunks of a report stay below 256 KiB, and a report below 512 KiB', async () => {
  const store = new Store(false)
  const log = new LogWriter(store, 1, 1 << 30)
  log.output(STDERR, 0, text('x'))
  await turn()
  const chunk = Buffer.alloc(100 * 1024)
  for (let at = 0; at < 30; at++) log.output(STDOUT, at * chunk.length, chunk)
  for (let answers = 0; answers < 10; answers++) await store.answer(true)
  const sizes = store.reports.map(({ events }) => (events ?? []).map(({ output }) => output?.data?.length ?? 0))
  assert.ok(sizes.flat().every((size) => size <= 256 * 1024))
  assert.ok(sizes.every((report) => report.reduce((sum, size) => sum + size, 0) <= 512 * 1024))
  assert.equal(
    sizes.flat().reduce((sum, size) => sum + size, 0),
    30 * chunk.length + 1,
  )
})

test('a refused report is repeated unchanged', async () => {
  const store = new Store(false)
  const log = new LogWriter(store, 1, 100)
  log.output(STDOUT, 0, text('a'))
  await turn()
  await store.answer(new Error('OOM'))
  while (store.reports.length < 2) await turn()
  await store.answer(true)
  assert.deepEqual(store.told, ['1@0:a', '1@0:a'])
  assert.equal(store.refusals.length, 1)
})

test('a store that refuses output for good does not hold the verdict', async () => {
  const store = new Store(false)
  const log = new LogWriter(store, 1, 100, 50)
  log.output(STDOUT, 0, text('a'))
  await turn()
  log.output(STDOUT, 1, text('b'))
  const ended = log.end({ message: 'done' })
  await store.answer(new Error('OOM'))
  while (store.reports.length < 2) await turn()
  await store.answer(true)
  assert.equal(await ended, true)
  assert.deepEqual(store.told, ['1@0:a', 'verdict done (the end of the output could not be stored)'])
})

test('fenced: told once, and nothing more is written', async () => {
  const store = new Store(false)
  const log = new LogWriter(store, 1, 100)
  log.output(STDOUT, 0, text('a'))
  await turn()
  log.output(STDOUT, 1, text('b'))
  await store.answer(false)
  log.output(STDOUT, 2, text('c'))
  assert.equal(await log.end({}), false)
  assert.deepEqual(store.told, ['1@0:a'])
  assert.equal(store.fencedCount, 1)
})
