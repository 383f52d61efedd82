// ImageService: every call is an errand of one worker, or of all; what they answer is put together here.
import { caisson } from '../proto/messages.js'
import { type CallReasonName, callReasons, invalidFields, Refusal, type Violation } from '../proto/reason.js'
import type { Seal } from '../proto/seal.js'
import { Gathered } from '../redis/command.js'
import type { Errands } from '../redis/errands.js'
import { asBuffer, milliseconds } from '../redis/events.js'
import type { Living } from './living.js'
import type { Outgoing } from './outgoing.js'
import { validateFiles, validateKnownImage, validatePullImage, validateWorkerId } from './validateImage.js'

const v1 = caisson.v1
type Answer = caisson.errand.v1.Answer
type IErrand = caisson.errand.v1.IErrand

/** What became of an errand: one of the two. */
interface Outcome {
  workerId: string
  answer?: Answer
  failure?: caisson.v1.IFailure
}

/** Of all workers together; a message of gRPC is 4 MiB at most. */
const mostListedBytes = 3 << 20

export class Images {
  constructor(
    private readonly errands: Errands,
    private readonly living: Living,
    private readonly seal: Seal | undefined,
  ) {}

  async pull(request: caisson.v1.IPullImageRequest, out: Outgoing, stop: AbortSignal): Promise<void> {
    refuse(validatePullImage(request))
    const { registryCredential, ...pull } = request
    const seal = this.#sealerOf(registryCredential)
    const make = (errandId: string): IErrand => ({ pull, ...(seal && { sealedCredential: seal(errandId) }) })
    const write = (event: caisson.v1.IPullImageEvent) =>
      out.write([new Gathered([asBuffer(v1.PullImageEvent.encode(event).finish())])])
    await this.#each(await this.#takers(request.workerId), async (workerId) => {
      const tell = async ({ layer }: Answer) => void (layer && (await write({ workerId, progress: layer })))
      const { answer, failure } = await this.#send(workerId, make, stop, tell)
      await write({
        workerId,
        ...(answer?.pulled ? { pulled: { ...answer.pulled, workerId } } : { failed: failure ?? outOfTurn }),
      })
    })
  }

  async list(request: caisson.v1.IListImagesRequest, stop: AbortSignal): Promise<caisson.v1.IListImagesResponse> {
    refuse(validateWorkerId(request.workerId))
    const outcomes = await this.#ask(await this.#asked(request.workerId), { list: request }, stop)
    const listed = outcomes.flatMap(({ workerId, answer }) =>
      (answer?.listed?.images ?? []).map((image) => ({ ...image, workerId })),
    )
    const images = first(listed.sort(newestFirst), mostListedBytes)
    const truncated = images.length < listed.length || outcomes.some(({ answer }) => answer?.listed?.truncated)
    return { images, truncated, failures: failuresOf(outcomes) }
  }

  async get(request: caisson.v1.IGetImageRequest, stop: AbortSignal): Promise<caisson.v1.IImageDetails> {
    refuse(validateKnownImage(request))
    const outcomes = await this.#ask(await this.#asked(request.workerId), { get: request }, stop)
    const found = outcomes.flatMap(({ workerId, answer }) =>
      answer?.details?.image ? [{ ...answer.details, image: { ...answer.details.image, workerId } }] : [],
    )
    const [newest] = found.sort((a, b) => newestFirst(a.image, b.image))
    return newest ?? none(request.image, outcomes)
  }

  async files(request: caisson.v1.IImageFilesRequest, stop: AbortSignal): Promise<caisson.v1.IImageFilesResponse> {
    refuse(validateFiles(request))
    const { image } = await this.get(request, stop)
    const workerId = image?.workerId ?? ''
    const outcomes = await this.#ask([workerId], { files: request }, stop)
    const files = outcomes[0]?.answer?.files
    return files ? { ...files, workerId } : none(request.image, outcomes)
  }

  async remove(request: caisson.v1.IRemoveImageRequest, stop: AbortSignal): Promise<caisson.v1.IRemoveImageResponse> {
    refuse(validateKnownImage(request))
    const outcomes = await this.#ask(await this.#asked(request.workerId), { remove: request }, stop)
    const removed = removedOf(outcomes)
    return removed.length > 0 ? { removed, failures: failuresOf(outcomes) } : none(request.image, outcomes)
  }

  async prune(request: caisson.v1.IPruneImagesRequest, stop: AbortSignal): Promise<caisson.v1.IPruneImagesResponse> {
    refuse(validateWorkerId(request.workerId))
    const outcomes = await this.#ask(await this.#asked(request.workerId), { prune: request }, stop)
    return { removed: removedOf(outcomes), failures: failuresOf(outcomes) }
  }

  async verify(request: caisson.v1.IVerifyImagesRequest, out: Outgoing, stop: AbortSignal): Promise<void> {
    refuse(validateWorkerId(request.workerId))
    const write = (event: caisson.v1.IVerifyImagesEvent) =>
      out.write([new Gathered([asBuffer(v1.VerifyImagesEvent.encode(event).finish())])])
    await this.#each(await this.#asked(request.workerId), async (workerId) => {
      const tell = async ({ checked }: Answer) => void (checked && (await write({ workerId, progress: checked })))
      const { answer, failure } = await this.#send(workerId, () => ({ verify: request }), stop, tell)
      await write({ workerId, ...(answer?.verified ? { verified: answer.verified } : { failed: failure ?? outOfTurn }) })
    })
  }

  /** All at once; the first that throws ends the call, and with it the others. */
  async #each(workerIds: string[], work: (workerId: string) => Promise<void>): Promise<void> {
    await Promise.all(workerIds.map(work))
  }

  #ask(workerIds: string[], errand: IErrand, stop: AbortSignal): Promise<Outcome[]> {
    return Promise.all(workerIds.map((workerId) => this.#send(workerId, () => errand, stop)))
  }

  /** `tell` hears of progress. What is wrong with one worker is data; Redis away, or a client gone, is not. */
  async #send(
    workerId: string,
    make: (errandId: string) => IErrand,
    stop: AbortSignal,
    tell: (answer: Answer) => Promise<void> = async () => {},
  ): Promise<Outcome> {
    let last: Answer | undefined
    try {
      for await (const answer of this.errands.send(workerId, make, stop)) {
        if (answer.layer || answer.checked) await tell(answer)
        else last = answer
      }
    } catch (error) {
      if (!isWorkers(error)) throw error
      return { workerId, failure: { reason: error.reason, message: error.message } }
    }
    return last?.failed ? { workerId, failure: last.failed } : { workerId, ...(last && { answer: last }) }
  }

  /** The workers that a pull means. */
  async #takers(workerId: string | null | undefined): Promise<string[]> {
    if (workerId) return this.#asked(workerId)
    const workers = (await this.living.now()).filter(({ draining }) => !draining)
    if (workers.length === 0) throw new Refusal('NO_WORKER', 'no worker lives')
    return workers.map(({ workerId }) => workerId)
  }

  async #asked(workerId: string | null | undefined): Promise<string[]> {
    const all = (await this.living.now()).map(({ workerId }) => workerId)
    if (!workerId) return all
    if (!all.includes(workerId)) throw new Refusal('WORKER_NOT_FOUND', `no worker ${workerId} lives`)
    return [workerId]
  }

  #sealerOf(credential: caisson.v1.IRegistryCredential | null | undefined): ((errandId: string) => Buffer) | undefined {
    if (!credential) return undefined
    const { seal } = this
    if (!seal) throw new Refusal('NO_SEAL_KEY', 'registry_credential cannot be taken: the service has no key to seal it with')
    const secret = v1.RegistryCredential.encode(credential).finish()
    return (errandId) => seal.close(secret, errandId)
  }
}

function refuse(violations: Violation[]): void {
  if (violations.length > 0) throw invalidFields(violations)
}

const outOfTurn: caisson.v1.IFailure = { reason: 'WORKER_FAILED', message: 'the worker gave an answer to something else' }

const isWorkers = (error: unknown): error is Refusal => error instanceof Refusal && error.reason.startsWith('WORKER_')

const newestFirst = (a: caisson.v1.IImage, b: caisson.v1.IImage) => milliseconds(b.usedAt ?? {}) - milliseconds(a.usedAt ?? {})

const failuresOf = (outcomes: Outcome[]): caisson.v1.IWorkerFailure[] =>
  outcomes.flatMap(({ workerId, failure }) => (failure && failure.reason !== 'IMAGE_UNKNOWN' ? [{ workerId, failure }] : []))

const removedOf = (outcomes: Outcome[]): caisson.v1.IRemovedImages[] =>
  outcomes.flatMap(({ workerId, answer }) => (answer?.removed ? [{ ...answer.removed, workerId }] : []))

function first(images: caisson.v1.IImage[], mostBytes: number): caisson.v1.IImage[] {
  let left = mostBytes
  return images.filter((image) => {
    left -= v1.Image.encode(image).len + 8
    return left >= 0
  })
}

/** Nobody could: the clearest of what they said. */
function none(image: string | null | undefined, outcomes: Outcome[]): never {
  const failures = failuresOf(outcomes)
  const { failure } = failures.find(({ failure }) => failure?.reason === 'IMAGE_IN_USE') ?? failures[0] ?? {}
  if (!failure) throw new Refusal('IMAGE_UNKNOWN', outcomes.length > 0 ? `no worker has ${image}` : 'no worker lives')
  const { reason, message } = failure
  const known = Object.keys(callReasons).find((name): name is CallReasonName => name === reason)
  throw new Refusal(known ?? 'WORKER_FAILED', message ?? '')
}
