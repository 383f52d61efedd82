// For tests: whatever writes about runs, over a Redis of its own.
import assert from 'node:assert/strict'
import type { Redis } from 'ioredis'
import { Queues } from './queue.js'
import { Runs } from './runs.js'
import { type ScratchRedis, scratchRedis } from './scratch.js'
import { type NewRun, Submissions } from './submissions.js'

export class ScratchRuns implements AsyncDisposable {
  private constructor(
    readonly server: ScratchRedis,
    readonly redis: Redis,
    readonly queues: Queues,
    readonly runs: Runs,
    readonly submissions: Submissions,
  ) {}

  static async open(): Promise<ScratchRuns> {
    const server = await scratchRedis()
    const redis = server.connect()
    const queues = new Queues(redis)
    await queues.ready()
    return new ScratchRuns(server, redis, queues, new Runs(redis, queues), new Submissions(redis, queues))
  }

  /** Its id. */
  async created(over: Partial<NewRun> = {}): Promise<string> {
    const answer = await this.submissions.create(aRun(over))
    assert.ok(answer.outcome === 'created', answer.outcome)
    return answer.runId
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.queues.close()
    await this.server[Symbol.asyncDispose]()
  }
}

export const aRun = (over: Partial<NewRun> = {}): NewRun => ({
  spec: { image: 'oci:/images/a', args: ['true'] },
  limits: { wallMs: 1000 },
  queue: 'container',
  idempotencyKey: '',
  retentionMs: 60_000,
  message: '',
  maxWaiting: 1_000_000,
  ...over,
})
