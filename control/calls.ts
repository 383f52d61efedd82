// One call: its handler is a promise, and whatever it throws becomes a status here.
import type {
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
} from '@grpc/grpc-js'
import type { Refusal } from '../proto/reason.js'
import * as log from './log.js'
import { type Messages, Outgoing } from './outgoing.js'
import { asRefusal, statusOf } from './status.js'

interface AnyCall {
  readonly cancelled: boolean
  getPath(): string
  on(event: 'cancelled', listener: () => void): unknown
}

/** Streams that are open, so that a control that stops can end them with a reason. */
export class Calls {
  readonly #open = new Set<AbortController>()
  #ending: Refusal | undefined

  unary<Req, Res>(handle: (request: Req, metadata: Metadata) => Promise<Res>): handleUnaryCall<Req, Res> {
    return (call: ServerUnaryCall<Req, Res>, respond: sendUnaryData<Res>) => {
      handle(call.request, call.metadata).then(
        (response) => respond(null, response),
        (error) => respond(statusFor(error, call.getPath())),
      )
    }
  }

  /** One that may take long: like a stream it ends with its client, or with control. */
  long<Req, Res>(handle: (request: Req, stop: AbortSignal) => Promise<Res>): handleUnaryCall<Req, Res> {
    return (call: ServerUnaryCall<Req, Res>, respond: sendUnaryData<Res>) => {
      this.#answer(call, (stop) => handle(call.request, stop), respond)
    }
  }

  /** `stop` is aborted when the client leaves, and with a Refusal when control does. */
  events<Req>(
    handle: (request: Req, out: Outgoing, stop: AbortController, metadata: Metadata) => Promise<void>,
  ): handleServerStreamingCall<Req, Messages> {
    return (call: ServerWritableStream<Req, Messages>) => {
      const stop = this.#openStream(call)
      const out = new Outgoing(call, stop.signal)
      handle(call.request, out, stop, call.metadata)
        .finally(() => out.flush())
        .then(
          () => call.end(),
          // Written ones go out first. A stream that its client has left takes no status.
          (error) => call.cancelled || call.emit('error', statusFor(error, call.getPath())),
        )
        .finally(() => this.#open.delete(stop))
    }
  }

  input<Req, Res>(
    handle: (requests: AsyncIterable<Req>, stop: AbortSignal) => Promise<Res>,
  ): handleClientStreamingCall<Req, Res> {
    return (call: ServerReadableStream<Req, Res>, respond: sendUnaryData<Res>) => {
      this.#answer(call, (stop) => handle(call, stop), respond)
    }
  }

  /** Ends every stream, and those that still come: their clients go on elsewhere. */
  end(why: Refusal): void {
    this.#ending = why
    for (const stop of this.#open) stop.abort(why)
  }

  #answer<Res>(call: AnyCall, handle: (stop: AbortSignal) => Promise<Res>, respond: sendUnaryData<Res>): void {
    const stop = this.#openStream(call)
    Promise.race([handle(stop.signal), aborted(stop.signal)])
      .then(
        (response) => respond(null, response),
        (error) => call.cancelled || respond(statusFor(error, call.getPath())),
      )
      .finally(() => this.#open.delete(stop))
  }

  #openStream(call: { on(event: 'cancelled', listener: () => void): unknown }): AbortController {
    const stop = new AbortController()
    call.on('cancelled', () => stop.abort(left))
    if (this.#ending) stop.abort(this.#ending)
    this.#open.add(stop)
    return stop
  }
}

/** Made once: it is the ordinary end of many a watch. */
const left = new Error('the client has left')

function statusFor(error: unknown, path: string) {
  const refusal = asRefusal(error)
  if (refusal.reason === 'BUG') log.error('a call failed', refusal.cause, { path })
  return statusOf(refusal)
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
}
