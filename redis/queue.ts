// BullMQ's queues as the producer sees them. A worker makes its own `new Worker(queueName, …, workerOptions)`.
import { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { bullPrefix, type JobData, jobId, jobOptions, type QueueName, queueNames } from '../proto/job.js'
import type { Argument } from './command.js'

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

  /**
   * Words for lua/include/add.lua, which adds a job as BullMQ would, together with what belongs to it: prefix of BullMQ's keys, and the job's
   * id, data, options and priority.
   */
  addition(name: QueueName, data: JobData, priority: number): Argument[] {
    const id = jobId(data.runId, data.attempt)
    const options = { ...jobOptions, jobId: id, ...(priority > 0 && { priority }) }
    return [this.#queues[name].toKey(''), id, JSON.stringify(data), JSON.stringify(options), priority]
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
