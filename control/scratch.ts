// For tests: a control process, a client of it that knows only the protocol, and a worker that runs nothing.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Client, type ClientReadableStream, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import { Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { bullPrefix, type JobData } from '../proto/job.js'
import { caisson, google } from '../proto/messages.js'
import { timestamp } from '../redis/events.js'
import { Inbox } from '../redis/inbox.js'
import { Queues } from '../redis/queue.js'
import { type ClaimedRun, Runs } from '../redis/runs.js'
import type { ScratchRedis } from '../redis/scratch.js'
import { StreamTail } from '../redis/tail.js'
import { verdictOf } from '../redis/verdicts.js'
import { Workers } from '../redis/workers.js'

const { v1 } = caisson
const { Backend, Effect, Stream } = v1

export interface ScratchControl extends AsyncDisposable {
  readonly process: ChildProcess
  readonly port: number
}

export async function scratchControl(redis: string, ...args: string[]): Promise<ScratchControl> {
  const main = fileURLToPath(new URL('main.js', import.meta.url))
  const child = spawn(process.execPath, [main, '--redis', redis, '--listen', '127.0.0.1:0', ...args])
  child.stdout.resume()
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`control ended with ${code}`)))
    createInterface(child.stderr).on('line', (line) => {
      if (!line.startsWith('{')) return
      const entry: { level: string; port?: number } = JSON.parse(line)
      if (entry.port !== undefined) resolve(entry.port)
      if (entry.level === 'error') process.stderr.write(`${line}\n`)
    })
  })
  return {
    process: child,
    port,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

interface Codec<In, Out> {
  encode(message: In): { finish(): Uint8Array }
  decode(bytes: Uint8Array): Out
}

/** What a call failed with, its details decoded. */
export class CallFailed extends Error {
  readonly code: number
  readonly reason: string
  readonly fields: string[]

  constructor(error: ServiceError) {
    super(error.details)
    this.code = error.code
    const bytes = error.metadata.get('grpc-status-details-bin')[0]
    const details = bytes instanceof Buffer ? google.rpc.Status.decode(bytes).details : []
    const find = (name: string) => details.find((detail) => detail.type_url?.endsWith(name))?.value
    const info = find('ErrorInfo')
    const request = find('BadRequest')
    this.reason = info ? google.rpc.ErrorInfo.decode(info).reason : ''
    const violations = request ? google.rpc.BadRequest.decode(request).fieldViolations : []
    this.fields = violations.map(({ field }) => field ?? '')
  }
}

export class ScratchClient {
  readonly #client: Client

  constructor(
    port: number,
    private readonly metadata = new Metadata(),
    channel = credentials.createInsecure(),
  ) {
    this.#client = new Client(`127.0.0.1:${port}`, channel, { 'grpc.ssl_target_name_override': 'localhost' })
  }

  close(): void {
    this.#client.close()
  }

  readonly submit = this.#unary('RunService/Submit', v1.SubmitRequest, v1.SubmitResponse)
  readonly cancel = this.#unary('RunService/Cancel', v1.CancelRequest, v1.CancelResponse)
  readonly get = this.#unary('RunService/Get', v1.GetRequest, v1.Run)
  readonly list = this.#unary('RunService/List', v1.ListRequest, v1.ListResponse)
  readonly delete = this.#unary('RunService/Delete', v1.DeleteRequest, v1.DeleteResponse)
  readonly listWorkers = this.#unary('HostService/ListWorkers', v1.ListWorkersRequest, v1.ListWorkersResponse)
  readonly listImages = this.#unary('HostService/ListImages', v1.ListImagesRequest, v1.ListImagesResponse)

  run = (request: caisson.v1.ISubmitRequest) => this.#events('Run', v1.SubmitRequest, request)
  watch = (request: caisson.v1.IWatchRequest) => this.#events('Watch', v1.WatchRequest, request)

  /** The raw stream, for who wants to read slowly. */
  watchStream(request: caisson.v1.IWatchRequest): ClientReadableStream<caisson.v1.RunEvent> {
    const serialize = (message: caisson.v1.IWatchRequest) => Buffer.from(v1.WatchRequest.encode(message).finish())
    const decode = (bytes: Buffer) => v1.RunEvent.decode(bytes)
    return this.#client.makeServerStreamRequest('/caisson.v1.RunService/Watch', serialize, decode, request, this.metadata)
  }

  async attach(messages: Iterable<caisson.v1.IAttachRequest>): Promise<caisson.v1.AttachResponse> {
    return await new Promise((resolve, reject) => {
      const call = this.#client.makeClientStreamRequest(
        '/caisson.v1.RunService/Attach',
        (message: caisson.v1.IAttachRequest) => Buffer.from(v1.AttachRequest.encode(message).finish()),
        (bytes) => v1.AttachResponse.decode(bytes),
        this.metadata,
        (error, answer) => (error ? reject(new CallFailed(error)) : resolve(answer ?? new v1.AttachResponse())),
      )
      call.on('error', () => {})
      const write = async () => {
        for (const message of messages) if (!call.write(message)) await once(call, 'drain')
        call.end()
      }
      void write()
    })
  }

  #unary<I, O, IO>(path: string, request: Codec<I, unknown>, response: Codec<IO, O>): (message: I) => Promise<O> {
    return (message) =>
      new Promise((resolve, reject) => {
        this.#client.makeUnaryRequest(
          `/caisson.v1.${path}`,
          (value: I) => Buffer.from(request.encode(value).finish()),
          (bytes) => response.decode(bytes),
          message,
          this.metadata,
          { deadline: Date.now() + 10_000 },
          (error, answer) => (error || answer === undefined ? reject(error && new CallFailed(error)) : resolve(answer)),
        )
      })
  }

  async *#events<I>(name: string, request: Codec<I, unknown>, message: I): AsyncGenerator<caisson.v1.RunEvent> {
    const call = this.#client.makeServerStreamRequest(
      `/caisson.v1.RunService/${name}`,
      (value: I) => Buffer.from(request.encode(value).finish()),
      (bytes) => v1.RunEvent.decode(bytes),
      message,
      this.metadata,
    )
    try {
      for await (const event of call) yield event
    } catch (error) {
      throw error instanceof Error && 'metadata' in error ? new CallFailed(error as ServiceError) : error
    }
  }
}

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
