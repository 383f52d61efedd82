// What each method of the services does.
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import type { caisson } from '../proto/messages.js'
import { invalidFields, Refusal } from '../proto/reason.js'
import { isRunId } from '../proto/runid.js'
import { type StateName, stateNames, stateNumber } from '../proto/state.js'
import type { Listing } from '../redis/listing.js'
import type { Runs } from '../redis/runs.js'
import type { Submissions } from '../redis/submissions.js'
import type { Workers } from '../redis/workers.js'
import type { Attach } from './attach.js'
import type { Calls } from './calls.js'
import type { Images } from './images.js'
import type { Submit } from './submit.js'
import { validateLabels } from './validate.js'
import { range } from './violations.js'
import { notFound, type Watch } from './watch.js'

export interface Parts {
  calls: Calls
  submit: Submit
  watch: Watch
  attach: Attach
  runs: Runs
  submissions: Submissions
  listing: Listing
  workers: Workers
  images: Images
}

export function runHandlers({ calls, submit, watch, attach, runs, submissions, listing }: Parts): UntypedServiceImplementation {
  return {
    Submit: calls.unary(async (request: caisson.v1.SubmitRequest, metadata) => {
      const { runId, created } = await submit.submit(request, metadata)
      return { runId, created }
    }),

    Run: calls.events(async (request: caisson.v1.SubmitRequest, out, stop, metadata) => {
      const { runId, events } = await submit.submit(request, metadata)
      if (!events) return await watch.fromCursor(runId, '', out, stop)
      await watch.fromFirst(runId, events, out, stop)
    }),

    Watch: calls.events(async ({ runId, afterCursor }: caisson.v1.WatchRequest, out, stop) =>
      watch.fromCursor(runId, afterCursor, out, stop),
    ),

    Attach: calls.input((requests: AsyncIterable<caisson.v1.AttachRequest>, stop) => attach.attach(requests, stop)),

    Cancel: calls.unary(async ({ runId }: caisson.v1.CancelRequest) => {
      const outcome = await submissions.cancel(checkedRunId(runId))
      if (outcome === 'gone') throw notFound(runId)
      return { cancelled: outcome !== 'over' }
    }),

    Get: calls.unary(async ({ runId }: caisson.v1.GetRequest) => {
      const run = await runs.get(checkedRunId(runId))
      if (run === undefined) throw notFound(runId)
      return run
    }),

    GetReceipt: calls.unary(async ({ runId }: caisson.v1.GetReceiptRequest) => {
      const receipt = await runs.receipt(checkedRunId(runId))
      if (receipt === undefined) throw notFound(runId)
      const { hasEnded, envelope } = receipt
      if (!hasEnded) throw new Refusal('RUN_NOT_ENDED', `run ${runId} has not ended: its receipt comes with its verdict`)
      if (!envelope) throw new Refusal('NO_RECEIPT', `run ${runId} was ended without a worker: nobody could sign for it`)
      return { envelope }
    }),

    List: calls.unary(async (request: caisson.v1.ListRequest) => {
      const { runs, next } = await listing.page(checkedFilter(request))
      return { runs, nextPageToken: next }
    }),

    Delete: calls.unary(async ({ runId }: caisson.v1.DeleteRequest) => {
      const outcome = await submissions.delete(checkedRunId(runId))
      if (outcome === 'not-found') throw notFound(runId)
      if (outcome === 'not-ended') throw new Refusal('RUN_NOT_ENDED', `run ${runId} has not ended: cancel it first`)
      return {}
    }),
  }
}

export function hostHandlers({ calls, workers }: Parts): UntypedServiceImplementation {
  return {
    ListWorkers: calls.unary(async () => ({ workers: await workers.list() })),
  }
}

export function imageHandlers({ calls, images }: Parts): UntypedServiceImplementation {
  return {
    Pull: calls.events((request: caisson.v1.PullImageRequest, out, { signal }) => images.pull(request, out, signal)),
    List: calls.long((request: caisson.v1.ListImagesRequest, stop) => images.list(request, stop)),
    Get: calls.long((request: caisson.v1.GetImageRequest, stop) => images.get(request, stop)),
    Files: calls.long((request: caisson.v1.ImageFilesRequest, stop) => images.files(request, stop)),
    Remove: calls.long((request: caisson.v1.RemoveImageRequest, stop) => images.remove(request, stop)),
    Prune: calls.long((request: caisson.v1.PruneImagesRequest, stop) => images.prune(request, stop)),
    Verify: calls.events((request: caisson.v1.VerifyImagesRequest, out, { signal }) => images.verify(request, out, signal)),
  }
}

function checkedRunId(runId: string): string {
  if (!isRunId(runId)) throw invalidFields([{ field: 'run_id', description: 'is not a run id' }])
  return runId
}

const defaultPageSize = 100
const mostPageSize = 1_000

function checkedFilter({ states, labels, pageSize, pageToken }: caisson.v1.ListRequest) {
  const violations = [...range('page_size', pageSize, 0, mostPageSize), ...validateLabels('labels', labels)]
  // Each name is a question to Redis, and a request has room for millions of them.
  const names = [...new Set(states)].map((state) => stateNames.find((name) => stateNumber(name) === state))
  if (names.includes(undefined)) violations.push({ field: 'states', description: 'holds a value that is no state' })
  if (pageToken !== '' && !isRunId(pageToken)) {
    violations.push({ field: 'page_token', description: 'is not a token of this service' })
  }
  if (violations.length > 0) throw invalidFields(violations)
  const isName = (name: StateName | undefined): name is StateName => name !== undefined
  return { states: names.filter(isName), labels, pageSize: pageSize || defaultPageSize, before: pageToken }
}
