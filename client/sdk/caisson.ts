// The SDK. Every method rejects with a CaissonError when the request was refused or the service failed; a program's own end is a Verdict.

import { randomUUID } from 'node:crypto'
import type { caisson } from '../../proto/messages.js'
import type { Statement } from '../../proto/receipt.js'
import type { ConnectOptions } from './address.js'
import { type CallOptions, Connection } from './connection.js'
import { readRun, readWorker } from './decode.js'
import { writeSpec, writeState } from './encode.js'
import { CaissonError } from './error.js'
import { FollowedRun } from './followed.js'
import { Images } from './images.js'
import { Input } from './input.js'
import { methods } from './methods.js'
import type { RegistryCredential, Run, RunSpec, State, Verdict, Worker } from './model.js'
import { disagreements } from './receipt.js'
import { follow } from './watch.js'

export interface SubmitOptions extends CallOptions {
  /** 1-128 characters of [A-Za-z0-9._:-]. The same key with the same spec is the same run. Default: a fresh one, so that retries are safe. */
  idempotencyKey?: string
  /** For the registry of spec.image, and no other host. The service keeps it encrypted until the program runs, and never shows it. */
  registryCredential?: RegistryCredential
}

export interface WatchOptions extends CallOptions {
  /** Of the last event that is known. Default: from the run's first event. */
  afterCursor?: string
}

export interface ListOptions extends CallOptions {
  /** Any of these; default: all. */
  states?: readonly State[]
  /** All of these. */
  labels?: Readonly<Record<string, string>>
  /** Runs per request, 1 to 1,000; default 100. */
  pageSize?: number
}

export class Caisson implements Disposable {
  /** The images that workers have. */
  readonly images: Images
  readonly #connection: Connection

  private constructor(options: ConnectOptions) {
    this.#connection = new Connection(options)
    this.images = new Images(this.#connection)
  }

  /** The connection is made with the first call; UNAVAILABLE there means that nothing serves at this address. */
  static connect(options: ConnectOptions = {}): Caisson {
    return new Caisson(options)
  }

  /**
   * Records and enqueues a run; returns at once. INVALID_ARGUMENT names the fields at fault; ALREADY_EXISTS: the key is known with another
   * spec; RESOURCE_EXHAUSTED: the service's store is near its limit; FAILED_PRECONDITION: no worker offers the isolation.
   */
  async submit(spec: RunSpec, options: SubmitOptions = {}): Promise<{ runId: string; created: boolean }> {
    const { runId, created } = await this.#connection.unary(methods.submit, submitRequest(spec, options), options)
    return { runId, created }
  }

  /** Submits a run and watches it. Refusals as of submit() come out of the iteration, or of verdict(). */
  run(spec: RunSpec, options: SubmitOptions = {}): FollowedRun {
    const request = submitRequest(spec, options)
    const events = follow(this.#connection, () => this.#connection.readStream(methods.run, request), options.signal)
    return new FollowedRun(events, (runId) => this.#verdictOf(runId, options))
  }

  /**
   * Every event of a run until its verdict, also after its end. Resumes by itself when the connection breaks: no byte is lost or doubled.
   * NOT_FOUND: no such run; INVALID_ARGUMENT: the cursor is not of this run.
   */
  watch(runId: string, options: WatchOptions = {}): FollowedRun {
    const request = { runId, afterCursor: options.afterCursor ?? '' }
    const events = follow(this.#connection, () => this.#connection.readStream(methods.watch, request), options.signal)
    return new FollowedRun(events, () => this.#verdictOf(runId, options), runId)
  }

  /** Input for a run that was submitted with stdin 'attach'. One writer at a time, from the input's first byte. */
  attach(runId: string, options: CallOptions = {}): Input {
    return new Input(this.#connection, runId, options.signal)
  }

  /**
   * Sends signal 1-64 to the main process, with `group` to all of its process group, as a terminal does. Not repeated when the connection
   * breaks: it may then have arrived or not.
   */
  async signal(runId: string, signal: number, { group = false } = {}): Promise<void> {
    const { call, answer } = this.#connection.writeStream(methods.attach, true)
    call.end({ runId, ...(group ? { groupSignal: signal } : { signal }) })
    await answer
  }

  /** Ends a run with verdict CANCELLED. Returns when the wish is recorded; false: the run had ended before. */
  async cancel(runId: string, options: CallOptions = {}): Promise<boolean> {
    const { cancelled } = await this.#connection.unary(methods.cancel, { runId }, options)
    return cancelled
  }

  /** NOT_FOUND: no such run, or its retention is over. */
  async get(runId: string, options: CallOptions = {}): Promise<Run> {
    return readRun(await this.#connection.unary(methods.get, { runId }, options))
  }

  /** The receipt of an ended run, a DSSE envelope as JSON: see verifyReceipt(). NOT_FOUND, NO_RECEIPT: it was ended without a worker. */
  async receipt(runId: string, options: CallOptions = {}): Promise<Buffer> {
    const { envelope } = await this.#connection.unary(methods.getReceipt, { runId }, options)
    return Buffer.from(envelope)
  }

  /** Where a verified receipt and the service's own record of its run do not agree; empty: nowhere. */
  async disagreements(receipt: Statement, options: CallOptions = {}): Promise<string[]> {
    return disagreements(receipt, await this.#connection.unary(methods.get, { runId: receipt.predicate.run.id }, options))
  }

  async #verdictOf(runId: string, options: CallOptions): Promise<Verdict> {
    const { verdict } = await this.get(runId, options)
    if (!verdict)
      throw new CaissonError('INTERNAL', `the service ended the watch of run ${runId}, which has not ended`, { reason: 'BUG' })
    return verdict
  }

  /** Newest first; further pages are fetched as the iteration needs them. */
  async *list(options: ListOptions = {}): AsyncGenerator<Run, void, undefined> {
    const { states = [], labels = {}, pageSize = 0 } = options
    const filter = { states: states.map(writeState), labels: { ...labels }, pageSize }
    let pageToken = ''
    do {
      const page: caisson.v1.ListResponse = await this.#connection.unary(methods.list, { ...filter, pageToken }, options)
      for (const run of page.runs) yield readRun(run)
      pageToken = page.nextPageToken
    } while (pageToken !== '')
  }

  /** Forgets an ended run: record, output and key. FAILED_PRECONDITION: it has not ended. */
  async delete(runId: string, options: CallOptions = {}): Promise<void> {
    await this.#connection.unary(methods.delete, { runId }, options)
  }

  /** The living workers. */
  async workers(options: CallOptions = {}): Promise<Worker[]> {
    const { workers } = await this.#connection.unary(methods.listWorkers, {}, options)
    return workers.map(readWorker)
  }

  /** Lets go of the connection; calls under way fail. */
  close(): void {
    this.#connection.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

function submitRequest(spec: RunSpec, { idempotencyKey, registryCredential }: SubmitOptions): caisson.v1.ISubmitRequest {
  const credential = registryCredential && { registryCredential: { ...registryCredential } }
  return { spec: writeSpec(spec), idempotencyKey: idempotencyKey ?? randomUUID(), ...credential }
}
