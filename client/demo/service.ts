// A service for the demo alone, gone without a trace afterwards.

import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { Log } from '../up/log.js'
import { Service } from '../up/service.js'
import type { Stops } from '../up/stops.js'
import { say } from './show.js'

export class DemoService implements AsyncDisposable {
  private constructor(
    readonly service: Service,
    readonly address: string,
    private readonly state: string,
    private readonly stops: Stops,
  ) {}

  static async start(imageFolder: string, stops: Stops): Promise<DemoService> {
    const state = await mkdtemp(join(tmpdir(), 'caisson-demo-'))
    // Control, worker and Redis pass through it as an ordinary user.
    await chmod(state, 0o755)
    const listen = `127.0.0.1:${await freePort()}`
    const own = { name: `demo-${process.pid}`, state, images: [imageFolder], listen }
    const log = new RecentLines()
    try {
      const options = { ...own, redisMemoryBytes: 256 << 20, workerArgs: ['--allow-emulation'], controlArgs: [] }
      const service = await Service.start(options, new Log(log, 'people'), stops.first)
      return new DemoService(service, listen, state, stops)
    } catch (error) {
      say(log.lines.join('\n'))
      await rm(state, { recursive: true })
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service.stop(this.stops.second)
    await rm(this.state, { recursive: true })
  }
}

/** What the service logs is of interest only when it fails. */
class RecentLines extends Writable {
  readonly lines: string[] = []

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.lines.push(chunk.toString().trimEnd())
    if (this.lines.length > 100) this.lines.shift()
    done()
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('no port is free')
  return address.port
}
