// A service for one purpose alone, gone without a trace afterwards.

import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { Log } from './log.js'
import { freePort } from './port.js'
import { Service } from './service.js'
import type { Stops } from './stops.js'

export interface TemporaryOptions {
  /** Begins its name: "demo", "attack". */
  purpose: string
  /** Folder of the images that it may read. */
  images: string
  workerArgs: string[]
}

export class TemporaryService implements AsyncDisposable {
  private constructor(
    readonly service: Service,
    readonly name: string,
    readonly address: string,
    readonly state: string,
    private readonly stops: Stops,
  ) {}

  static async start({ purpose, images, workerArgs }: TemporaryOptions, stops: Stops): Promise<TemporaryService> {
    const state = await mkdtemp(join(tmpdir(), `caisson-${purpose}-`))
    // Control, worker and Redis pass through it as an ordinary user.
    await chmod(state, 0o755)
    const listen = `127.0.0.1:${await freePort()}`
    const own = { name: `${purpose}-${process.pid}`, state, images: [images], listen }
    const log = new RecentLines()
    try {
      const options = { ...own, redisMemoryBytes: 256 << 20, workerArgs, controlArgs: [] }
      const service = await Service.start(options, new Log(log, 'people'), stops.first)
      return new TemporaryService(service, own.name, listen, state, stops)
    } catch (error) {
      process.stderr.write(`${log.lines.join('\n')}\n`)
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
