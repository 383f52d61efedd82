// Attach: input and signals of a client into the inbox of its run.
import type { caisson } from '../proto/messages.js'
import { invalidFields, Refusal, type Violation } from '../proto/reason.js'
import { isRunId } from '../proto/runid.js'
import type { Inbox, Sent } from '../redis/inbox.js'
import { range } from './violations.js'
import { notFound } from './watch.js'

const mostDataBytes = 256 << 10
const mostSignal = 64
const mostOffset = Number.MAX_SAFE_INTEGER

type Request = caisson.v1.AttachRequest

export class Attach {
  constructor(private readonly inbox: Inbox) {}

  /** Until the client ends its stream. One message after the other: what the program does not take holds the client back. */
  async attach(requests: AsyncIterable<Request>, stop: AbortSignal): Promise<caisson.v1.IAttachResponse> {
    let session: Session | undefined
    for await (const request of requests) {
      session ??= new Session(this.inbox, runIdOf(request), stop)
      await session.take(request)
    }
    if (session === undefined)
      throw invalidFields([{ field: 'run_id', description: 'is missing: the first message names the run' }])
    return { acceptedBytes: await session.recordedBytes() }
  }
}

function runIdOf({ runId }: Request): string {
  if (!isRunId(runId)) throw invalidFields([{ field: 'run_id', description: 'is not a run id' }])
  return runId
}

class Session {
  /** What the run has of its input, as far as this stream knows. */
  #recorded: number | undefined

  constructor(
    private readonly inbox: Inbox,
    private readonly runId: string,
    private readonly stop: AbortSignal,
  ) {}

  async take(request: Request): Promise<void> {
    const violations = validate(request, this.runId)
    if (violations.length > 0) throw invalidFields(violations)
    if (request.input === 'data') await this.#data(request.data ?? Buffer.alloc(0), request.offset ?? undefined)
    if (request.input === 'end' && request.end) this.#accept(await this.inbox.sendEnd(this.runId))
    if (request.input === 'signal') this.#accept(await this.inbox.sendSignal(this.runId, request.signal ?? 0, false))
    if (request.input === 'groupSignal') this.#accept(await this.inbox.sendSignal(this.runId, request.groupSignal ?? 0, true))
  }

  async recordedBytes(): Promise<number> {
    return this.#recorded ?? (await this.inbox.recordedBytes(this.runId))
  }

  /** A client that gives offsets may send again what is recorded; one that does not must be the only one. */
  async #data(data: Uint8Array, offset: number | undefined): Promise<void> {
    const alone = offset === undefined && this.#recorded !== undefined
    for (;;) {
      const sent = await this.inbox.sendData(this.runId, data, offset ?? this.#recorded, alone)
      if (sent.outcome !== 'full') return this.#accept(sent)
      await this.inbox.room(this.runId, sent.takenId, this.stop)
      this.stop.throwIfAborted()
    }
  }

  #accept(sent: Sent): void {
    if (sent.outcome !== 'ok') throw refusalOf(this.runId, sent)
    this.#recorded = sent.sentBytes
  }
}

function validate(request: Request, runId: string): Violation[] {
  const violations = [
    ...range('signal', request.signal, 1, mostSignal),
    ...range('group_signal', request.groupSignal, 1, mostSignal),
    ...range('offset', request.offset, 0, mostOffset),
  ]
  const length = request.data?.length ?? 0
  if (length > mostDataBytes)
    violations.push({ field: 'data', description: `is ${length} bytes, must be at most ${mostDataBytes}` })
  if (request.runId !== '' && request.runId !== runId) {
    violations.push({ field: 'run_id', description: 'is another one than in the first message' })
  }
  return violations
}

function refusalOf(runId: string, { outcome, sentBytes }: Sent): Refusal {
  switch (outcome) {
    case 'gone':
      return notFound(runId)
    case 'ended':
      return new Refusal('RUN_ENDED', `run ${runId} has ended`)
    case 'detached':
      return new Refusal('STDIN_NOT_ATTACHED', `run ${runId} was not submitted with spec.stdin_attach`)
    case 'closed':
      return new Refusal('INPUT_ENDED', `the input of run ${runId} was ended after ${sentBytes} bytes`)
    case 'gap':
      return new Refusal('INPUT_GAP', `offset leaves a gap: ${sentBytes} bytes of input are recorded`)
    case 'contended':
      return new Refusal('INPUT_CONTENDED', `another client feeds run ${runId}: give offsets, or let one of them do it`)
    case 'full':
      return new Refusal('INBOX_FULL', `run ${runId} has not taken what was sent to it before`)
    case 'ok':
      throw new Error('an accepted message is no refusal')
  }
}
