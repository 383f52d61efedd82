// Where a run can go: isolation asked for, against what the living workers offer. Pure.

import type { QueueName } from '../proto/job.js'
import { type AllLimits, diskRateOf, limitRules, type Maxima } from '../proto/limits.js'
import { caisson } from '../proto/messages.js'
import { Refusal, type Violation } from '../proto/reason.js'

const { Backend, Isolation } = caisson.v1

export interface Admission {
  queue: QueueName
  /** For people: why not what was preferred. */
  message: string
}

type Worker = caisson.v1.IWorker

export function admit(spec: caisson.v1.IRunSpec, workers: Worker[]): Admission {
  const queue = chooseQueue(spec.isolation ?? Isolation.ISOLATION_UNSPECIFIED, workers)
  const offering = workersOf(queue, workers)
  if (offering.length === 0 && !spec.waitForWorker) throw new Refusal('NO_WORKER', missing(queue, workers))
  return { queue, message: chosenInstead(spec.isolation ?? 0, queue, workers) }
}

/** What no single worker of the queue's can give. With no worker at all (the run waits for one) nothing is known, and nothing refused. */
export function checkCapacity(limits: AllLimits, queue: QueueName, workers: Worker[]): Violation[] {
  const maxima = workersOf(queue, workers).map((worker) => maximaOf(worker, queue))
  if (maxima.length === 0) return []
  const each = limitRules.flatMap(({ name, field }) => {
    const most = Math.max(...maxima.map((maximum) => maximum[name] ?? Number.POSITIVE_INFINITY))
    if (limits[name] <= most) return []
    return [{ field, description: `is ${limits[name]}, no living worker gives more than ${most}` }]
  })
  each.push(...checkDiskRate(limits, queue, workers))
  if (each.length > 0 || maxima.some((maximum) => fits(limits, maximum))) return each
  return [{ field: 'spec.limits', description: 'no single living worker gives all of them together' }]
}

function checkDiskRate(limits: AllLimits, queue: QueueName, workers: Worker[]): Violation[] {
  if (diskRateOf(limits) === undefined) return []
  const why = workersOf(queue, workers).map((worker) => {
    const unavailable = offerFor(queue, worker)?.diskRateUnavailable
    return unavailable ? `${worker.workerId}: ${unavailable}` : undefined
  })
  if (why.includes(undefined)) return []
  const told = why.slice(0, mostReasons).join('; ')
  return [{ field: 'spec.limits.disk_bytes_per_second', description: `cannot be kept by any living worker (${told})` }]
}

/** The least that every default is lowered to: what the largest worker gives. */
export function workerMaxima(queue: QueueName, workers: Worker[]): Maxima {
  const maxima = workersOf(queue, workers).map((worker) => maximaOf(worker, queue))
  const found: Maxima = {}
  for (const { name } of limitRules) {
    const values = maxima.map((maximum) => maximum[name]).filter((value) => value !== undefined)
    if (values.length === maxima.length && values.length > 0) found[name] = Math.max(...values)
  }
  return found
}

function chooseQueue(isolation: caisson.v1.Isolation, workers: Worker[]): QueueName {
  if (isolation === Isolation.CONTAINER) return 'container'
  if (isolation === Isolation.MICROVM_REQUIRED) return 'microvm-required'
  return workersOf('microvm', workers).length > 0 ? 'microvm' : 'container'
}

const workersOf = (queue: QueueName, workers: Worker[]): Worker[] =>
  workers.filter((worker) => !worker.draining && offerFor(queue, worker))

const offerFor = (queue: QueueName, { offers }: Worker) => offers?.find((offer) => serves(offer, queue))

/** An emulated VM is no wall: it does not count, and is offered only where the operator said that it may serve who asks for no other. */
function serves({ backend, counts, unavailable }: caisson.v1.IBackendOffer, queue: QueueName): boolean {
  if (unavailable) return false
  if (queue === 'container') return backend === Backend.BACKEND_CONTAINER
  return backend === Backend.BACKEND_MICROVM && (counts === true || queue === 'microvm-required')
}

function maximaOf(worker: Worker, queue: QueueName): Maxima {
  const found: Maxima = {}
  for (const { name } of limitRules) {
    const value = worker.maximum?.[name]
    if (value != null) found[name] = value
  }
  const memoryBytes = offerFor(queue, worker)?.memoryBytes
  return memoryBytes == null ? found : { ...found, memoryBytes }
}

const fits = (limits: AllLimits, maximum: Maxima): boolean =>
  limitRules.every(({ name }) => limits[name] <= (maximum[name] ?? Number.POSITIVE_INFINITY))

const nouns = { container: 'a container', microvm: 'a microVM that counts', 'microvm-required': 'a microVM' }

function missing(queue: QueueName, workers: Worker[]): string {
  if (workers.length === 0) return 'no worker lives; set spec.wait_for_worker to wait for one'
  return `no living worker offers ${nouns[queue]} (${reasons(queue, workers)}); set spec.wait_for_worker to wait for one`
}

function chosenInstead(isolation: caisson.v1.Isolation, queue: QueueName, workers: Worker[]): string {
  if (queue !== 'container' || isolation === Isolation.CONTAINER) return ''
  if (workers.length === 0) return 'a container: no worker lives that could offer a microVM'
  return `a container: no living worker offers ${nouns.microvm} (${reasons('microvm', workers)})`
}

const mostReasons = 5

/** Why each worker does not serve, as it says itself. */
function reasons(queue: QueueName, workers: Worker[]): string {
  const backend = queue === 'container' ? Backend.BACKEND_CONTAINER : Backend.BACKEND_MICROVM
  const told = workers.slice(0, mostReasons).map((worker) => {
    const offer = (worker.offers ?? []).find((offer) => offer.backend === backend)
    if (worker.draining) return `${worker.workerId}: it drains`
    if (!offer) return `${worker.workerId}: not offered`
    return `${worker.workerId}: ${offer.unavailable || 'emulated, which is no wall'}`
  })
  if (workers.length > mostReasons) told.push(`and ${workers.length - mostReasons} more`)
  return told.join('; ')
}
