// The service that this command would talk to, and what its Redis promises.

import { existsSync } from 'node:fs'
import { readRedisCa } from '../../redis/authority.js'
import type { Caisson } from '../sdk/caisson.js'
import { CaissonError } from '../sdk/error.js'
import type { BackendOffer, Worker } from '../sdk/model.js'
import { askRedisPromise, describePromise, type RedisPromise } from '../up/redis.js'
import { type Check, no, unknown, yes } from './check.js'

export interface ServiceReport {
  checks: Check[]
  workers: Worker[]
}

export async function checkService(caisson: Caisson, address: string): Promise<ServiceReport> {
  try {
    const workers = await caisson.workers()
    return { checks: [yes('service', `at ${address}`), ...workers.flatMap(checkWorker)], workers }
  } catch (error) {
    if (!(error instanceof CaissonError)) throw error
    if (error.code === 'UNAVAILABLE') return { checks: [unknown('service', `nothing serves at ${address}`)], workers: [] }
    return { checks: [no('service', `at ${address}: ${error.message}`, 'see --address, --token-file and --ca')], workers: [] }
  }
}

function checkWorker({ workerId, hostname, offers, activeRuns, draining }: Worker): Check[] {
  const state = `${activeRuns} runs${draining ? ', draining' : ''}`
  return [yes(`worker ${workerId}`, `on ${hostname}, ${state}`), ...offers.map((offer) => checkOffer(workerId, offer))]
}

function checkOffer(
  workerId: string,
  { backend, vmm, accelerator, counts, unavailable, limitation, guest }: BackendOffer,
): Check {
  const name = `worker ${workerId}: ${backend}`
  if (unavailable !== '') return { name, answer: 'no', detail: unavailable }
  const how = [vmm, accelerator].filter(Boolean).join(', ')
  const kernel = guest && `; ${guest}`
  return yes(
    name,
    `${how || 'offered'}${counts ? '' : ' (emulated: no security boundary)'}${kernel}${limitation && `; ${limitation}`}`,
  )
}

/** `url`: named by the user; else that of the service `up` started here, which root alone can ask. */
export async function checkRedis(url: string | undefined, caFile: string | undefined, instance: string): Promise<Check> {
  const address = url ?? `/run/caisson/${instance}/redis/redis.sock`
  if (url === undefined && process.getuid?.() !== 0)
    return unknown('redis', "only root can ask the service's own Redis (or name one with --redis)")
  if (url === undefined && !existsSync(address)) return unknown('redis', 'no service with a Redis of its own runs here')
  try {
    return judge(await askRedisPromise(address, readRedisCa(caFile, address)))
  } catch (error) {
    const remedy = url === undefined ? 'start the service again' : 'is the URL right, and the server up?'
    return no('redis', `cannot be asked: ${error instanceof Error ? error.message : String(error)}`, remedy)
  }
}

function judge(promise: RedisPromise): Check {
  const detail = describePromise(promise)
  const { appendonly, appendfsync, maxmemoryPolicy } = promise
  if (appendonly === undefined) return unknown('redis', detail)
  if (maxmemoryPolicy !== 'noeviction') return no('redis', detail, 'set maxmemory-policy to noeviction')
  if (appendonly === 'yes' && appendfsync === 'always') return yes('redis', detail)
  return no('redis', detail, 'set appendonly yes and appendfsync always, or accept that runs may be lost')
}
