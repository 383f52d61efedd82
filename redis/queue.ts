// BullMQ's queues as the producer sees them. A worker makes its own `new Worker(queueName, …, workerOptions)`.
import { type IRedisTransaction, Job, Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { bullPrefix, type JobData, jobId, jobName, jobOptions, type QueueName, queueNames } from '../proto/job.js'
import type { Argument } from './command.js'

/** What a script needs to add a job as BullMQ would. */
export interface JobAddition {
  keys: string[]
  /** Name of BullMQ's script, and its arguments. */
  args: Argument[]
}

/** One BullMQ queue per backend over one connection. */
export class Queues {
  readonly #queues: Record<QueueName, Queue<JobData>>

  constructor(private readonly redis: Redis) {
    const open = (name: QueueName) => {
      // BullMQ tells of jobs in a stream of its own, which nobody reads here.
      const queue = new Queue<JobData>(name, { connection: redis, prefix: bullPrefix, streams: { events: { maxLen: 0 } } })
      // The connection is shared: whoever uses it learns of its failures.
      queue.on('error', () => {})
      return queue
    }
    this.#queues = { container: open('container'), microvm: open('microvm'), 'microvm-required': open('microvm-required') }
  }

  async ready(): Promise<void> {
    await Promise.all(queueNames.map((name) => this.#queues[name].waitUntilReady()))
  }

  async close(): Promise<void> {
    await Promise.all(queueNames.map((name) => this.#queues[name].close()))
  }

  /** Nothing is sent: BullMQ prepares keys and arguments, and a script of ours adds the job together with what belongs to it. */
  addition(name: QueueName, data: JobData, priority: number): JobAddition {
    const queue = this.#queues[name]
    const id = jobId(data.runId, data.attempt)
    const job = new Job(queue, jobName, data, { ...jobOptions, jobId: id, ...(priority > 0 && { priority }) }, id)
    let prepared: unknown[] = []
    let script = ''
    const recorder = {
      runCommand(command: string, args: unknown[]) {
        script = command.split(':')[0] ?? ''
        prepared = args
        return id
      },
    }
    // Of a transaction, BullMQ uses only runCommand here.
    void queue.backend.addJobToTransaction(recorder as unknown as IRedisTransaction, job.asJSON(), id)
    const numberOfKeys = 9
    const keys = prepared.slice(0, numberOfKeys).map(String)
    return { keys, args: [script, ...prepared.slice(numberOfKeys).map(asArgument)] }
  }

  /** A queued run whose job is not there is never taken. */
  async has(name: QueueName, runId: string, attempt: number): Promise<boolean> {
    return (await this.redis.exists(this.#queues[name].toKey(jobId(runId, attempt)))) === 1
  }

  /** A job that has become pointless. One that a worker has just taken is left to it: it finds that there is nothing to do. */
  async remove(name: QueueName, runId: string, attempt: number): Promise<void> {
    await this.#queues[name].remove(jobId(runId, attempt))
  }
}

function asArgument(value: unknown): Argument {
  if (typeof value === 'string' || typeof value === 'number' || value instanceof Uint8Array) return value
  throw new TypeError(`BullMQ gives its script a ${typeof value}`)
}
