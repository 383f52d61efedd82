// A run's events as one unbroken sequence, over as many streams as it takes: after a break the next stream resumes behind the last event
// that was handed out.

import type { ClientReadableStream } from '@grpc/grpc-js'
import type { caisson } from '../../proto/messages.js'
import type { Connection } from './connection.js'
import { readEvent } from './decode.js'
import { CaissonError, fromServiceError } from './error.js'
import { methods } from './methods.js'
import type { RunEvent } from './model.js'
import { Offsets } from './offsets.js'

/** Opens the stream that makes a run known, before any event of it was seen. */
type Begin = () => ClientReadableStream<caisson.v1.RunEvent>

/**
 * Ends after the verdict; or, where the first stream was asked for what follows it, with nothing. A consumer that is slow holds the stream
 * back: nothing piles up here.
 */
export async function* follow(
  connection: Connection,
  begin: Begin,
  signal?: AbortSignal,
): AsyncGenerator<RunEvent, void, undefined> {
  const patience = connection.patience(signal)
  const offsets = new Offsets()
  let last: RunEvent | undefined
  for (;;) {
    const stream = last ? resume(connection, last) : begin()
    let silent = true
    try {
      for await (const message of events(stream, signal)) {
        patience.renew()
        silent = false
        last = readEvent(message)
        if (last.type !== 'output' || offsets.advance(last)) yield last
        if (last.type === 'verdict') return
      }
      if (silent) return
      throw new CaissonError('UNAVAILABLE', 'the stream of events ended before the verdict')
    } catch (error) {
      await patience.orThrow(error)
    }
  }
}

function resume(connection: Connection, { runId, cursor }: RunEvent): ClientReadableStream<caisson.v1.RunEvent> {
  return connection.readStream(methods.watch, { runId, afterCursor: cursor })
}

async function* events(stream: ClientReadableStream<caisson.v1.RunEvent>, signal?: AbortSignal) {
  const cancel = () => stream.cancel()
  signal?.addEventListener('abort', cancel, { once: true })
  if (signal?.aborted) cancel()
  // Whatever comes after this generator was left is of no interest, but must not go unheard.
  stream.on('error', () => {})
  let complete = false
  try {
    for await (const message of stream.iterator({ destroyOnReturn: false })) {
      complete = message.verdict != null
      yield message as caisson.v1.RunEvent
    }
    complete = true
  } catch (error) {
    throw signal?.aborted ? signal.reason : fromServiceError(error)
  } finally {
    signal?.removeEventListener('abort', cancel)
    // The service ends the stream behind the verdict: to cancel it then would cost both sides more than to hear that out.
    if (complete) stream.resume()
    else stream.cancel()
  }
}
