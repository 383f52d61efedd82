// The gRPC server: limits, services, health, reflection, and its end.
import { fileURLToPath } from 'node:url'
import { type ChannelOptions, Server, ServerCredentials } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { ReflectionService } from '@grpc/reflection'
import { protoPath as healthProto } from 'grpc-health-check'
import { Refusal } from '../proto/reason.js'
import { requireToken } from './auth.js'
import type { Config } from './config.js'
import { linkable } from './descriptors.js'
import type { Health } from './health.js'
import { hostService, imageService, runService } from './methods.js'
import { hostHandlers, imageHandlers, type Parts, runHandlers } from './service.js'

// dist/control/ → proto/
const protoFolder = fileURLToPath(new URL('../../proto/', import.meta.url))

const options: ChannelOptions = {
  // The largest Submit: args and env 1 MiB, stdin 1 MiB, image, labels, and what the encoding adds to short words.
  'grpc.max_receive_message_length': 3 << 20,
  // The largest Run of Get and List; output events are 256 KiB.
  'grpc.max_send_message_length': 4 << 20,
  'grpc.max_concurrent_streams': 1_000,
  // Nobody asks for its counts of calls.
  'grpc.enable_channelz': 0,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
}

export class GrpcServer {
  readonly #server: Server

  constructor(
    private readonly parts: Parts,
    private readonly config: Config,
    health: Health,
  ) {
    const { tenants } = config
    this.#server = new Server({ ...options, ...(tenants && { interceptors: [requireToken(tenants)] }) })
    this.#server.addService(runService, runHandlers(parts))
    this.#server.addService(hostService, hostHandlers(parts))
    this.#server.addService(imageService, imageHandlers(parts))
    health.implementation.addToServer(this.#server)
    reflection().addToServer(this.#server)
  }

  /** The port that it listens on. */
  listen(): Promise<number> {
    const { host, port, tls } = this.config
    const credentials = tls
      ? ServerCredentials.createSsl(null, [{ cert_chain: tls.cert, private_key: tls.key }])
      : ServerCredentials.createInsecure()
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(`${host}:${port}`, credentials, (error, bound) => (error ? reject(error) : resolve(bound)))
    })
  }

  /** Takes no more calls; those that are open may end by themselves until `graceMs` or `hurry`, and are then ended. */
  async stop(graceMs: number, hurry: AbortSignal): Promise<void> {
    const stopped = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()))
    await firstOf(stopped, graceMs, hurry)
    this.parts.calls.end(new Refusal('SHUTTING_DOWN', 'this server shuts down'))
    await firstOf(stopped, lastWordsMs, hurry)
    this.#server.forceShutdown()
  }
}

/** For statuses to reach their clients, where those read. */
const lastWordsMs = 1_000

function firstOf(done: Promise<void>, ms: number, hurry: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    const finish = () => {
      clearTimeout(timer)
      resolve()
    }
    if (hurry.aborted) finish()
    hurry.addEventListener('abort', finish, { once: true })
    void done.then(finish)
  })
}

/** Lets grpcurl and its like find the services, and read the details of errors, without our .proto files. */
function reflection(): ReflectionService {
  const ours = ['run', 'host', 'image'].map((name) => `caisson/v1/${name}.proto`)
  const files = [...ours, 'google/rpc/error_details.proto', healthProto]
  return new ReflectionService(linkable(loadSync(files, { includeDirs: [protoFolder], keepCase: true })))
}
