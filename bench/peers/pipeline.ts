// The bare way to a run and back, without sandbox, record or checks: gRPC server stream → BullMQ → worker → two XADDs → one blocking XREAD.
// What Caisson adds to it is what Caisson costs.
//
// As a program: `pipeline.js server REDIS` or `pipeline.js worker REDIS`; both print "ready".

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import * as grpc from '@grpc/grpc-js'
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'

const path = '/bench.Pipeline/Run'
const toBytes = (value: Buffer): Buffer => value

export class Pipeline implements AsyncDisposable {
  private constructor(
    private readonly processes: ChildProcess[],
    private readonly client: grpc.Client,
  ) {}

  static async start(redis: string): Promise<Pipeline> {
    const worker = spawn(process.execPath, [fileURLToPath(import.meta.url), 'worker', redis], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const server = spawn(process.execPath, [fileURLToPath(import.meta.url), 'server', redis], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(worker.stdout, 'data')
    const [port] = await once(server.stdout, 'data')
    return new Pipeline([worker, server], new grpc.Client(`127.0.0.1:${Number(port)}`, grpc.credentials.createInsecure()))
  }

  async run(): Promise<void> {
    const call = this.client.makeServerStreamRequest(path, toBytes, toBytes, Buffer.from('run'))
    for await (const _ of call);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close()
    for (const child of this.processes) child.kill('SIGKILL')
    await Promise.all(this.processes.map((child) => once(child, 'exit')))
  }
}

async function serve(url: string): Promise<void> {
  const queue = new Queue('pipeline', { connection: { url } })
  const watching = new Map<string, grpc.ServerWritableStream<Buffer, Buffer>>()
  let next = 0
  const server = new grpc.Server()
  const handler = async (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
    const id = `run-${next++}`
    watching.set(id, call)
    await queue.add('run', { id }, { jobId: id, removeOnComplete: true })
  }
  const method = {
    path,
    requestStream: false,
    responseStream: true,
    requestSerialize: toBytes,
    requestDeserialize: toBytes,
    responseSerialize: toBytes,
    responseDeserialize: toBytes,
  }
  server.addService({ run: method }, { run: (call: grpc.ServerWritableStream<Buffer, Buffer>) => void handler(call) })
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  process.stdout.write(`${port}\n`)
  await tail(new Redis(url), watching)
}

async function tail(redis: Redis, watching: Map<string, grpc.ServerWritableStream<Buffer, Buffer>>): Promise<void> {
  for (let after = '$'; ; ) {
    const answer = await redis.xread('COUNT', 1000, 'BLOCK', 0, 'STREAMS', 'events', after)
    for (const [entryId, fields] of answer?.[0]?.[1] ?? []) {
      after = entryId
      const [, runId = '', , kind = ''] = fields
      const call = watching.get(runId)
      // An event can overtake the answer to `add`, but never the entry in this map.
      call?.write(Buffer.from(kind))
      if (kind === 'verdict') {
        call?.end()
        watching.delete(runId)
      }
    }
  }
}

async function work(url: string): Promise<void> {
  const redis = new Redis(url)
  const options = { connection: { url }, concurrency: 16 }
  const worker = new Worker(
    'pipeline',
    async ({ data }: { data: { id: string } }) => {
      await redis.xadd('events', 'MAXLEN', '~', 10_000, '*', 'run', data.id, 'kind', 'running')
      await redis.xadd('events', 'MAXLEN', '~', 10_000, '*', 'run', data.id, 'kind', 'verdict')
    },
    options,
  )
  await worker.waitUntilReady()
  process.stdout.write('ready\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , role, url = ''] = process.argv
  await (role === 'server' ? serve(url) : work(url))
}
