// caisson doctor: what this machine can do and, for each 'no', why.

import type { Caisson } from '../sdk/caisson.js'
import type { Worker } from '../sdk/model.js'
import { findInstallation } from '../up/installation.js'
import { judgeBackends } from './backends.js'
import { type Confinement, checkConfinement, lookAtConfinement } from './confinement.js'
import { checkMachine, probeMachine } from './machine.js'
import type { Report } from './report.js'
import { checkRedis, checkService } from './service.js'
import { checkTools } from './tools.js'

export interface Examined extends Report {
  works: boolean
  workers: Worker[]
  /** What `confinement` says in words. */
  processes: Confinement[]
}

export interface Where {
  /** Of the service to ask. */
  address: string
  /** Of the Redis to ask; default: that of the instance. */
  redis?: string | undefined
  /** File of who signed its certificate. */
  redisCa?: string | undefined
  /** Name of the instance that `up` runs here. */
  name: string
}

export async function examine(caisson: Caisson, { address, redis, redisCa, name }: Where): Promise<Examined> {
  const installation = findInstallation()
  const [probe, programs, service, redisCheck] = await Promise.all([
    probeMachine(installation),
    checkTools(installation),
    checkService(caisson, address),
    checkRedis(redis, redisCa, name),
  ])
  const backends = judgeBackends(probe, programs)
  const processes = await lookAtConfinement(name, probe)
  return {
    works: backends.some(({ answer }) => answer === 'yes'),
    backends,
    machine: checkMachine(probe),
    programs,
    service: [...service.checks, redisCheck],
    confinement: checkConfinement(processes, name),
    workers: service.workers,
    processes,
  }
}
