// An all-in-one service: launcher, Redis, control and worker, started in the order they need each other, and stopped in reverse.

import type { Server } from 'node:net'
import { join, resolve } from 'node:path'
import { readRedisCa } from '../../redis/authority.js'
import { Child } from './child.js'
import { type CredentialFiles, handOver } from './credentials.js'
import { findInstallation, requireBinaries } from './installation.js'
import { clearRuntime, type Instance, makeInstance, removeRuntime, requireUsers } from './instance.js'
import { lock, lockName, unlock } from './lock.js'
import type { Log } from './log.js'
import { judge, type PassedOn } from './passedOn.js'
import { controlProgram, launcherProgram, redisProgram, workerProgram } from './programs.js'
import { askRedisPromise, describePromise, evicts } from './redis.js'

export interface ServiceOptions extends CredentialFiles, PassedOn {
  /** 1 to 32 characters of [a-z0-9-]: one service of that name on this host. */
  name: string
  /** Folder of what must last: layers and Redis. */
  state: string
  /** Folders that image references may lead into. */
  images: readonly string[]
  /** HOST:PORT. */
  listen: string
  /** URL of a Redis that is there; default: one of its own. */
  redis?: string
  /** Kernel and VMM of microVMs; default: the launcher's. */
  guest?: string
  /** maxmemory of its own Redis. */
  redisMemoryBytes: number
}

export class Service {
  readonly #children: Child[] = []
  readonly #locks: Server[] = []
  #instance: Instance | undefined
  #stopped: Promise<void> | undefined
  /** What its Redis promises, in one line. */
  redisPromise = ''

  private constructor(
    private readonly options: ServiceOptions,
    private readonly log: Log,
  ) {}

  /** Resolves when all of it is ready. On failure, and when `signal` fires meanwhile, nothing of it is left. */
  static async start(options: ServiceOptions, log: Log, signal: AbortSignal): Promise<Service> {
    const service = new Service(options, log)
    const stop = () => void service.stop(signal)
    signal.addEventListener('abort', stop, { once: true })
    try {
      await service.#start(signal)
      return service
    } catch (error) {
      await service.stop(AbortSignal.abort())
      throw error
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  /** Worker first, which finishes or hands back what it runs; then those it needs for that. `hurry`: no more patience. */
  stop(hurry: AbortSignal): Promise<void> {
    this.#stopped ??= this.#stop(hurry)
    return this.#stopped
  }

  async #stop(hurry: AbortSignal): Promise<void> {
    for (const child of this.#children.toReversed()) await child.stop(hurry)
    if (this.#instance) await clearRuntime(this.#instance)
    await Promise.all(this.#locks.map(unlock))
    if (this.#instance) await removeRuntime(this.#instance)
  }

  /** Of its processes, by name, as they are now. */
  pids(): Record<string, number | undefined> {
    return Object.fromEntries(this.#children.map((child) => [child.name, child.pid]))
  }

  async #start(signal: AbortSignal): Promise<void> {
    judge(this.options)
    const installation = findInstallation()
    requireBinaries(installation)
    // Its processes reach their folders whatever the starter's own taste in files is.
    process.umask(0o022)
    const { name, state, images, listen, redis, redisCa, guest, redisMemoryBytes, workerArgs, controlArgs } = this.options
    const instance = await makeInstance(name, state, await requireUsers())
    await this.#lock(instance)
    const credentials = await handOver(this.options, instance)

    const launcher = new Child(launcherProgram(installation, instance, guest), this.log)
    const ownRedis = redis === undefined ? [new Child(redisProgram(installation, instance, redisMemoryBytes), this.log)] : []
    await this.#run([launcher, ...ownRedis], signal)
    const store = redis ?? instance.redisSocket
    await this.#judgeRedis(store, readRedisCa(redisCa, store))

    const controlArguments = ['--listen', listen, ...credentials.controlArgs, ...controlArgs]
    const imageFolders = images.map((folder) => resolve(folder))
    const workerArguments = [
      '--name',
      name,
      '--state',
      instance.state,
      ...imageFolders.flatMap((folder) => ['--images', folder]),
      ...credentials.workerArgs,
      ...workerArgs,
    ]
    const control = new Child(controlProgram(installation, instance, store, controlArguments, redis === undefined), this.log)
    const worker = new Child(workerProgram(installation, instance, store, workerArguments, imageFolders), this.log)
    await this.#run([control, worker], signal)
    if (images.length === 0) this.log.say('worker', 'may read no folder of images: name one with --images')
  }

  async #lock(instance: Instance): Promise<void> {
    const { name, runtime, state } = instance
    this.#locks.push(await lock(join(runtime, lockName), `the name "${name}"`))
    this.#instance = instance
    this.#locks.push(await lock(join(state, lockName), `the state folder ${state}`))
  }

  async #run(children: Child[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#children.push(...children)
    await Promise.all(children.map((child) => child.start()))
  }

  async #judgeRedis(address: string, ca: string | undefined): Promise<void> {
    const promise = await askRedisPromise(address, ca)
    this.redisPromise = describePromise(promise)
    if (evicts(promise)) throw new Error(`${this.redisPromise}; set its maxmemory-policy to noeviction`)
  }
}
