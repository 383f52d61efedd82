// For tests: a client that knows only the protocol.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, type ClientReadableStream, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import { caisson, google } from '../proto/messages.js'

const { v1 } = caisson
const { State } = v1

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
  readonly getReceipt = this.#unary('RunService/GetReceipt', v1.GetReceiptRequest, v1.Receipt)
  readonly list = this.#unary('RunService/List', v1.ListRequest, v1.ListResponse)
  readonly delete = this.#unary('RunService/Delete', v1.DeleteRequest, v1.DeleteResponse)
  readonly listWorkers = this.#unary('HostService/ListWorkers', v1.ListWorkersRequest, v1.ListWorkersResponse)
  readonly listImages = this.#unary('ImageService/List', v1.ListImagesRequest, v1.ListImagesResponse)
  readonly getImage = this.#unary('ImageService/Get', v1.GetImageRequest, v1.ImageDetails)
  readonly removeImage = this.#unary('ImageService/Remove', v1.RemoveImageRequest, v1.RemoveImageResponse)

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

export const spec = (...args: string[]): caisson.v1.IRunSpec => ({ image: 'oci:/images/a', args })
export const failsWith =
  (code: number, reason: string, ...fields: string[]) =>
  (error: unknown) => {
    assert.ok(error instanceof CallFailed, String(error))
    assert.deepEqual({ code: error.code, reason: error.reason, fields: error.fields }, { code, reason, fields })
    return true
  }

export async function collect(events: AsyncIterable<caisson.v1.RunEvent>): Promise<caisson.v1.RunEvent[]> {
  const all: caisson.v1.RunEvent[] = []
  for await (const event of events) all.push(event)
  return all
}
export const outputOf = (events: caisson.v1.RunEvent[]) =>
  Buffer.concat(events.flatMap(({ output }) => (output?.data ? [output.data] : [])))
export const statesOf = (events: caisson.v1.RunEvent[]) =>
  events.flatMap(({ state }) => (state?.state ? [State[state.state]] : []))

export async function untilState(client: ScratchClient, runId: string, state: caisson.v1.State): Promise<void> {
  while ((await client.get({ runId })).state !== state) await sleep(5)
}
