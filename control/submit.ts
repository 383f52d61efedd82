// Submit: validate, admit, record and enqueue.
import type { Metadata } from '@grpc/grpc-js'
import { type AllLimits, limitRules, type Maxima, resolveLimits } from '../proto/limits.js'
import { caisson } from '../proto/messages.js'
import { invalidFields, Refusal, type Violation } from '../proto/reason.js'
import type { Seal } from '../proto/seal.js'
import type { Submissions } from '../redis/submissions.js'
import type { Entry } from '../redis/tail.js'
import { type Admission, admit, checkCapacity, workerMaxima } from './admit.js'
import type { Living } from './living.js'
import type { Memory } from './memory.js'
import { anybody, type Tenant, type Tenants } from './tenants.js'
import { retention, validateSubmit } from './validate.js'

type Worker = caisson.v1.Worker

export interface SubmitPolicy {
  tenants: Tenants | undefined
  seal: Seal | undefined
  maxima: Maxima
  maxWaitingRuns: number
  maxRetentionMs: number
}

export interface Submitted {
  runId: string
  created: boolean
  /** The first ones of a run that was created. */
  events?: Entry[]
}

interface Placed extends Admission {
  limits: AllLimits
}

export class Submit {
  constructor(
    private readonly submissions: Submissions,
    private readonly living: Living,
    private readonly memory: Memory,
    private readonly policy: SubmitPolicy,
  ) {}

  /** `metadata` tells whose the call is. */
  async submit(request: caisson.v1.SubmitRequest, metadata: Metadata): Promise<Submitted> {
    const spec = request.spec ?? {}
    const invalid = validateSubmit(request)
    const violations = invalid.length > 0 ? invalid : this.#beyondPolicy(spec)
    if (violations.length > 0) throw invalidFields(violations)
    checkGranted(spec.capabilities ?? [], this.policy.tenants?.of(metadata) ?? anybody)
    try {
      return await this.#create(spec, request)
    } catch (error) {
      // A submit sent again is answered with its run also where there is no room, or no worker, for another.
      return await this.#knownOr(error, spec, request.idempotencyKey)
    }
  }

  async #create(spec: caisson.v1.IRunSpec, { idempotencyKey, registryCredential }: caisson.v1.SubmitRequest): Promise<Submitted> {
    const sealCredential = this.#sealerOf(registryCredential)
    await this.memory.take(caisson.v1.RunSpec.encode(spec).len)
    const { queue, limits, message } = await this.#place(spec)
    const created = await this.submissions.create({
      spec,
      limits,
      queue,
      message,
      ...(sealCredential && { sealCredential }),
      idempotencyKey,
      retentionMs: spec.retentionMs ?? Math.min(retention.fallback, this.policy.maxRetentionMs),
      maxWaiting: this.policy.maxWaitingRuns,
    })
    switch (created.outcome) {
      case 'created':
        return { runId: created.runId, created: true, events: created.events }
      case 'known':
        return { runId: created.runId, created: false }
      case 'conflict':
        throw conflict(idempotencyKey, created.runId)
      case 'full':
        throw new Refusal('QUEUE_FULL', `${this.policy.maxWaitingRuns} runs wait already, which is the most`)
    }
  }

  #sealerOf(credential: caisson.v1.IRegistryCredential | null | undefined): ((runId: string) => Buffer) | undefined {
    if (!credential) return undefined
    const { seal } = this.policy
    if (!seal) throw new Refusal('NO_SEAL_KEY', 'registry_credential cannot be taken: the service has no key to seal it with')
    const secret = caisson.v1.RegistryCredential.encode(credential).finish()
    return (runId) => seal.close(secret, runId)
  }

  /** By what is known of the workers; refused only by what is true of them now. */
  async #place(spec: caisson.v1.IRunSpec): Promise<Placed> {
    try {
      return this.#placeAmong(await this.living.recent(), spec)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return this.#placeAmong(await this.living.now(), spec)
    }
  }

  #placeAmong(workers: Worker[], spec: caisson.v1.IRunSpec): Placed {
    const admission = admit(spec, workers)
    const limits = resolveLimits(spec.limits ?? {}, lower(this.policy.maxima, workerMaxima(admission.queue, workers)))
    const violations = checkCapacity(limits, admission.queue, workers)
    if (violations.length > 0) throw invalidFields(violations)
    return { ...admission, limits }
  }

  #beyondPolicy(spec: caisson.v1.IRunSpec): Violation[] {
    const { maxima, maxRetentionMs } = this.policy
    const beyond = (field: string, asked: number | null | undefined, most = Number.POSITIVE_INFINITY): Violation[] =>
      asked != null && asked > most ? [{ field, description: `is ${asked}, the operator allows at most ${most}` }] : []
    return [
      ...limitRules.flatMap(({ name, field }) => beyond(field, spec.limits?.[name], maxima[name])),
      ...beyond('spec.retention_ms', spec.retentionMs, maxRetentionMs),
    ]
  }

  async #knownOr(error: unknown, spec: caisson.v1.IRunSpec, key: string): Promise<Submitted> {
    if (!(error instanceof Refusal) || error.reason === 'IDEMPOTENCY_CONFLICT' || key === '') throw error
    const known = await this.submissions.known(key, spec)
    if (known === undefined) throw error
    if (known.outcome === 'conflict') throw conflict(key, known.runId)
    return { runId: known.runId, created: false }
  }
}

const conflict = (key: string, runId: string) =>
  new Refusal('IDEMPOTENCY_CONFLICT', `idempotency_key ${key} is that of run ${runId}, which has another spec`, [], undefined, {
    run_id: runId,
  })

function checkGranted(asked: string[], tenant: Tenant): void {
  const violations = asked.flatMap((name, i) => {
    if (tenant.capabilities.has(name)) return []
    return [{ field: `spec.capabilities[${i}]`, description: `is ${name}, which is not granted to ${tenant.name}` }]
  })
  if (violations.length === 0) return
  const message = violations.map(({ field, description }) => `${field} ${description}`).join('; ')
  throw new Refusal('CAPABILITY_NOT_GRANTED', message, violations)
}

function lower(a: Maxima, b: Maxima): Maxima {
  const both: Maxima = { ...a }
  for (const { name } of limitRules) {
    const values = [a[name], b[name]].filter((value) => value !== undefined)
    if (values.length > 0) both[name] = Math.min(...values)
  }
  return both
}
