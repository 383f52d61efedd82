// One channel to the service. Calls that may be repeated are, when the connection breaks under them; a connection that never worked
// fails at once, so that a wrong address is told at once.

import { Client, type ClientReadableStream, type ClientWritableStream, Metadata } from '@grpc/grpc-js'
import { type ConnectOptions, channelCredentials, defaultAddress } from './address.js'
import { fromServiceError } from './error.js'
import type { Method } from './methods.js'
import { Patience } from './patience.js'

export interface CallOptions {
  /** Gives the call up; it then rejects with the signal's reason. */
  signal?: AbortSignal
}

export class Connection {
  readonly #client: Client
  readonly #metadata = new Metadata()
  readonly #patienceMs: number
  readonly #timeoutMs: number
  #worked = false

  constructor(options: ConnectOptions) {
    this.#client = new Client(options.address ?? defaultAddress, channelCredentials(options), {
      'grpc.enable_channelz': 0,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 1000,
      // A peer that vanished without a word is noticed after half a minute, also while a quiet run is watched.
      'grpc.keepalive_time_ms': 20_000,
      'grpc.keepalive_timeout_ms': 10_000,
      // A page of runs may be large, and the service is trusted; 64 KiB of window would halve the speed of output.
      'grpc.max_receive_message_length': -1,
      'grpc-node.flow_control_window': 1 << 20,
    })
    if (options.token !== undefined) this.#metadata.set('authorization', `Bearer ${options.token}`)
    this.#patienceMs = options.patienceMs ?? 60_000
    this.#timeoutMs = options.timeoutMs ?? 60_000
  }

  /** What to ask before trying again after a failure. */
  patience(signal?: AbortSignal): Patience {
    return new Patience(this.#patienceMs, () => this.#worked, signal)
  }

  /** Something came back: from now on a broken connection is worth waiting for. */
  alive(): void {
    this.#worked = true
  }

  /** A call that may safely be sent again. */
  async unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): Promise<Response> {
    const patience = this.patience(options.signal)
    const deadline = Date.now() + this.#timeoutMs
    for (;;) {
      try {
        return await this.#once(method, request, deadline, options.signal)
      } catch (error) {
        await patience.orThrow(error)
      }
    }
  }

  readStream<Request, Response>(method: Method<Request, Response>, request: Request): ClientReadableStream<Response> {
    const { path, serialize, deserialize } = method
    const call = this.#client.makeServerStreamRequest(path, serialize, deserialize, request, this.#metadata.clone())
    call.on('metadata', () => this.alive())
    return call
  }

  /** `answer` settles when the service has answered, or the stream broke; `waitForReady`: nothing is sent before a connection stands. */
  writeStream<Request, Response>(method: Method<Request, Response>, waitForReady = false): WriteStream<Request, Response> {
    const metadata = this.#metadata.clone()
    metadata.setOptions({ waitForReady })
    const { path, serialize, deserialize } = method
    const options = waitForReady ? { deadline: Date.now() + this.#timeoutMs } : {}
    let call!: ClientWritableStream<Request>
    const answer = new Promise<Response>((resolve, reject) => {
      call = this.#client.makeClientStreamRequest(path, serialize, deserialize, metadata, options, (error, value) => {
        if (value === undefined) return reject(fromServiceError(error))
        this.alive()
        resolve(value)
      })
    })
    // Whoever writes learns of a failure from the answer.
    call.on('error', () => {})
    answer.catch(() => {})
    return { call, answer }
  }

  close(): void {
    this.#client.close()
  }

  #once<Request, Response>(
    { path, serialize, deserialize }: Method<Request, Response>,
    request: Request,
    deadline: number,
    signal?: AbortSignal,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const settle = (error: unknown, value: Response | undefined) => {
        signal?.removeEventListener('abort', cancel)
        if (value === undefined) return reject(signal?.aborted ? signal.reason : fromServiceError(error))
        this.alive()
        resolve(value)
      }
      const metadata = this.#metadata.clone()
      const call = this.#client.makeUnaryRequest(path, serialize, deserialize, request, metadata, { deadline }, settle)
      const cancel = () => call.cancel()
      signal?.addEventListener('abort', cancel, { once: true })
    })
  }
}

export interface WriteStream<Request, Response> {
  call: ClientWritableStream<Request>
  answer: Promise<Response>
}
