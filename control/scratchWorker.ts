// For tests: a worker that runs nothing.
import { Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { bullPrefix, type JobData } from '../proto/job.js'
import { caisson } from '../proto/messages.js'
import { timestamp } from '../redis/events.js'
import { Inbox } from '../redis/inbox.js'
import { Queues } from '../redis/queue.js'
import { type ClaimedRun, Runs } from '../redis/runs.js'
import type { ScratchRedis } from '../redis/scratch.js'
import { StreamTail } from '../redis/tail.js'
import { verdictOf } from '../redis/verdicts.js'
import { Workers } from '../redis/workers.js'

const { Backend, Effect, Stream } = caisson.v1

/** Claims and reports as a worker does, and does as `args` say: echo TEXT, cat, flood CHUNKS, sleep, hang (without heartbeat of its end). */
export class ScratchWorker implements AsyncDisposable {
  readonly runs: Runs
  readonly #worker: Worker<JobData>
  readonly #queues: Queues
  readonly #tail: StreamTail
  readonly #inbox: Inbox
  readonly #heartbeats: NodeJS.Timeout

  private constructor(
    readonly workerId: string,
    scratch: ScratchRedis,
    redis: Redis,
  ) {
    this.#queues = new Queues(redis)
    this.runs = new Runs(redis, this.#queues)
    this.#tail = new StreamTail(scratch.connect('tail'), redis)
    this.#inbox = new Inbox(redis, this.#tail)
    const beat = () => void new Workers(redis).heartbeat(this.#offer()).catch(() => {})
    this.#heartbeats = setInterval(beat, 500)
    this.#worker = new Worker<JobData>('container', (job) => this.#work(job.data), {
      connection: scratch.connect(),
      prefix: bullPrefix,
      concurrency: 100,
      maxStalledCount: 0,
    })
    this.#worker.on('error', () => {})
  }

  static async start(workerId: string, scratch: ScratchRedis): Promise<ScratchWorker> {
    const redis = scratch.connect()
    const worker = new ScratchWorker(workerId, scratch, redis)
    await new Workers(redis).heartbeat(worker.#offer())
    await worker.#worker.waitUntilReady()
    return worker
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#heartbeats)
    this.#tail.close()
    await this.#worker.close(true)
    await this.#queues.close()
  }

  #offer(): caisson.v1.IWorker {
    const offers = [{ backend: Backend.BACKEND_CONTAINER }, { backend: Backend.BACKEND_MICROVM, unavailable: 'no /dev/kvm' }]
    const maximum = { cpuMillis: 2_000, memoryBytes: 4 * 2 ** 30, openFiles: 20_000 }
    return { workerId: this.workerId, hostname: 'test', offers, maximum, seenAt: timestamp(Date.now()) }
  }

  async #work({ runId, attempt }: JobData): Promise<void> {
    const placement = { workerId: this.workerId, backend: Backend.BACKEND_CONTAINER }
    const claimed = await this.runs.claim(runId, attempt, placement, 'sha256:11')
    if (claimed) await this.#program(claimed)
  }

  async #program({ runId, attempt, spec }: ClaimedRun): Promise<void> {
    const output = (offset: number, data: Uint8Array) => ({
      time: timestamp(Date.now()),
      output: { stream: Stream.STDOUT, offset, data, attempt },
    })
    const exited = verdictOf('EXITED', Effect.COMPLETED, '')
    const [program, argument = ''] = spec.args
    if (program === 'echo') {
      await this.runs.report(runId, attempt, { running: true, events: [output(0, Buffer.from(argument))], verdict: exited })
    } else if (program === 'flood') {
      await this.runs.running(runId, attempt)
      const chunk = Buffer.alloc(64 << 10, 'x')
      for (let i = 0; i < Number(argument); i++) await this.runs.append(runId, attempt, [output(i * chunk.length, chunk)])
      await this.runs.end(runId, attempt, exited)
    } else {
      await this.runs.running(runId, attempt)
      if (program !== 'hang') await this.#converse(runId, attempt, program === 'cat')
    }
  }

  async #converse(runId: string, attempt: number, echo: boolean): Promise<void> {
    let taken = 0
    for await (const message of this.#inbox.messages(runId, new AbortController().signal)) {
      if (message.kind === 'data') {
        taken += message.data.length
        const event = { output: { stream: Stream.STDOUT, offset: message.offset, data: message.data, attempt } }
        if (echo) await this.runs.append(runId, attempt, [event])
      }
      await this.#inbox.taken(runId, attempt, taken, message.id)
      if (message.kind === 'data') continue
      const reason = message.kind === 'cancel' ? 'CANCELLED' : message.kind === 'signal' ? 'SIGNALED' : 'EXITED'
      const signal = message.kind === 'signal' ? message.signal : 0
      await this.runs.end(runId, attempt, { ...verdictOf(reason, Effect.STARTED, ''), signal })
      return
    }
  }
}
