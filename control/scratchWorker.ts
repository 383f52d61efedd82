// For tests: a worker that runs nothing.
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { bullPrefix } from '../proto/job.js'
import { caisson } from '../proto/messages.js'
import { timestamp } from '../redis/events.js'
import { Inbox } from '../redis/inbox.js'
import { Queues } from '../redis/queue.js'
import { Runs } from '../redis/runs.js'
import type { ScratchRedis } from '../redis/scratch.js'
import { StreamTail } from '../redis/tail.js'
import type { ClaimedRun } from '../redis/take.js'
import { verdictOf } from '../redis/verdicts.js'
import { Workers } from '../redis/workers.js'

const { Backend, Effect, Stream } = caisson.v1

/** Claims and reports as a worker does, and does as `args` say: echo TEXT, cat, flood CHUNKS, sleep, hang (without heartbeat of its end). */
export class ScratchWorker implements AsyncDisposable {
  readonly runs: Runs
  readonly #marks: Redis
  #closed = false
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
    this.#tail = new StreamTail(scratch.tail(), redis)
    this.#inbox = new Inbox(redis, this.#tail)
    const beat = () => void new Workers(redis).heartbeat(this.#offer()).catch(() => {})
    this.#heartbeats = setInterval(beat, 500)
    this.#marks = scratch.connect()
    void this.#serve()
  }

  static async start(workerId: string, scratch: ScratchRedis): Promise<ScratchWorker> {
    const redis = scratch.connect()
    const worker = new ScratchWorker(workerId, scratch, redis)
    await new Workers(redis).heartbeat(worker.#offer())
    return worker
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#heartbeats)
    this.#tail.close()
    this.#closed = true
    this.#marks.disconnect()
    await this.#queues.close()
  }

  #offer(): caisson.v1.IWorker {
    const offers = [{ backend: Backend.BACKEND_CONTAINER }, { backend: Backend.BACKEND_MICROVM, unavailable: 'no /dev/kvm' }]
    const maximum = { cpuMillis: 2_000, memoryBytes: 4 * 2 ** 30, openFiles: 20_000 }
    return { workerId: this.workerId, hostname: 'test', offers, maximum, seenAt: timestamp(Date.now()) }
  }

  async #serve(): Promise<void> {
    const placement = { workerId: this.workerId, backend: Backend.BACKEND_CONTAINER }
    while (!this.#closed) {
      try {
        const { run, othersWait } = await this.runs.take({ queue: 'container', token: randomUUID(), lockMs: 30_000, placement })
        if (run) void this.#program(run).catch(() => {})
        if (!othersWait) await this.#marks.bzpopmin(`${bullPrefix}:container:marker`, 1)
      } catch {
        // Redis is away, or this worker is closed.
        await delay(20)
      }
    }
  }

  async #program({ runId, attempt, spec }: ClaimedRun): Promise<void> {
    const output = (offset: number, data: Uint8Array) => ({
      time: timestamp(Date.now()),
      output: { stream: Stream.STDOUT, offset, data, attempt },
    })
    const exited = verdictOf('EXITED', Effect.COMPLETED, '')
    const [program, argument = ''] = spec.args
    await this.runs.starting(runId, attempt, 'sha256:11')
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
