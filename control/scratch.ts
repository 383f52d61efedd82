// For tests: a control process, and all that it needs to be of use.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type ScratchRedis, scratchRedis } from '../redis/scratch.js'
import { ScratchClient } from './scratchClient.js'
import { ScratchWorker } from './scratchWorker.js'

export interface ScratchControl extends AsyncDisposable {
  readonly process: ChildProcess
  readonly port: number
}

export async function scratchControl(redis: string, ...args: string[]): Promise<ScratchControl> {
  const main = fileURLToPath(new URL('main.js', import.meta.url))
  const child = spawn(process.execPath, [main, '--redis', redis, '--listen', '127.0.0.1:0', ...args])
  child.stdout.resume()
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`control ended with ${code}`)))
    createInterface(child.stderr).on('line', (line) => {
      if (!line.startsWith('{')) return
      const entry: { level: string; port?: number } = JSON.parse(line)
      if (entry.port !== undefined) resolve(entry.port)
      if (entry.level === 'error') process.stderr.write(`${line}\n`)
    })
  })
  return {
    process: child,
    port,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

export interface ScratchSystem extends AsyncDisposable {
  redis: ScratchRedis
  control: ScratchControl
  client: ScratchClient
  worker: ScratchWorker
}

/** Redis, a worker w1 that offers containers, control and a client of it. */
export async function scratchSystem(): Promise<ScratchSystem> {
  const redis = await scratchRedis('--maxmemory', '512mb')
  const worker = await ScratchWorker.start('w1', redis)
  const control = await scratchControl(redis.address)
  const client = new ScratchClient(control.port)
  return {
    redis,
    control,
    client,
    worker,
    async [Symbol.asyncDispose]() {
      client.close()
      await control[Symbol.asyncDispose]()
      await worker[Symbol.asyncDispose]()
      await redis[Symbol.asyncDispose]()
    },
  }
}
