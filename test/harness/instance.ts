// An instance of the whole service, as a user starts it: `caisson up` with a name, a state folder and a port of its own.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Caisson } from '../../client/sdk/caisson.js'
import { freePort } from '../../client/up/port.js'
import { images } from './images.js'
import { childrenOf, cmdline, isAlive } from './processes.js'
import { slowness } from './slowness.js'
import { until } from './until.js'

export type Part = 'launcher' | 'redis' | 'control' | 'worker'

/** How the process of each part shows in /proc/PID/cmdline. */
const marks: Record<Part, string> = {
  launcher: 'caisson-launcher serve',
  redis: 'redis-server',
  control: 'dist/control/main.js',
  worker: 'dist/worker/main.js',
}

export interface InstanceOptions {
  /** More arguments of `caisson up`. */
  args?: string[]
  /** Added to the environment of `caisson up`. */
  env?: Record<string, string>
  /** Default 127.0.0.1 and a free port. */
  listen?: string
  connect?: Parameters<typeof Caisson.connect>[0]
}

export class Instance {
  readonly caisson: Caisson

  private constructor(
    readonly name: string,
    /** Removed with the instance; images of a test go into `folder/images`, which the worker may read. */
    readonly folder: string,
    readonly address: string,
    private readonly up: ChildProcess,
    private readonly logged: () => string,
    connect: InstanceOptions['connect'],
  ) {
    this.caisson = Caisson.connect({ address, ...connect })
  }

  static async start(options: InstanceOptions = {}): Promise<Instance> {
    const name = `t-${randomBytes(4).toString('hex')}`
    const folder = await mkdtemp(join(tmpdir(), `caisson-${name}-`))
    await chmod(folder, 0o755)
    await mkdir(join(folder, 'images'))
    const address = options.listen ?? `127.0.0.1:${await freePort()}`
    const args = ['up', '--name', name, '--state', join(folder, 'state'), '--listen', address]
    const folders = ['--images', images, '--images', join(folder, 'images')]
    // A test or bench leaves no service behind, however it ends.
    const endsWithUs = ['--pdeathsig', 'TERM', process.execPath, command]
    const up = spawn('setpriv', [...endsWithUs, ...args, ...folders, ...(options.args ?? [])], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
    })
    let log = ''
    up.stdout.on('data', (data) => {
      log += data
    })
    up.stderr.on('data', (data) => {
      log += data
    })
    const instance = new Instance(name, folder, address, up, () => log, options.connect)
    try {
      await instance.ready()
    } catch (error) {
      await instance.stop()
      throw new Error(`${error}\n${log}`)
    }
    return instance
  }

  /** A worker is there, so runs are taken. */
  async ready(): Promise<void> {
    await until('the instance is ready', 60_000, async () => {
      if (this.up.exitCode !== null) throw new Error(`caisson up exited with ${this.up.exitCode}`)
      const workers = await this.caisson.workers({ signal: AbortSignal.timeout(2000) }).catch(() => [])
      return workers.some((worker) => !worker.draining && Date.now() - (worker.seenAt?.getTime() ?? 0) < 4000)
    })
  }

  /** Everything that the instance's processes wrote to stdout and stderr. */
  log(): string {
    return this.logged()
  }

  get upPid(): number {
    if (this.up.pid === undefined) throw new Error('caisson up was not started')
    return this.up.pid
  }

  async pid(part: Part): Promise<number> {
    for (const pid of await childrenOf(this.upPid)) if ((await cmdline(pid)).includes(marks[part])) return pid
    throw new Error(`no ${part} among the children of caisson up`)
  }

  /** kill -9, and waits until another one of its kind is there. */
  async killAndAwaitRestart(part: Part): Promise<void> {
    const before = await this.pid(part)
    process.kill(before, 'SIGKILL')
    await until(`${part} is restarted`, 30_000, async () => (await this.pid(part).catch(() => before)) !== before)
  }

  /** Ends `caisson up` as a user does, and removes what it kept. */
  async stop(): Promise<void> {
    this.caisson.close()
    if (this.up.exitCode === null && this.up.signalCode === null) {
      const exited = new Promise((resolve) => this.up.once('exit', resolve))
      this.up.kill('SIGTERM')
      const late = setTimeout(() => this.up.kill('SIGKILL'), 60_000 * slowness)
      await exited
      clearTimeout(late)
    }
    await rm(this.folder, { recursive: true, force: true })
  }

  /** redis-cli on the instance's own Redis. */
  get redisSocket(): string {
    return `/run/caisson/${this.name}/redis/redis.sock`
  }

  /** Resident bytes of a part, as the kernel counts what is its own. */
  async memoryBytes(part: Part): Promise<number> {
    const rollup = await readFile(`/proc/${await this.pid(part)}/smaps_rollup`, 'utf8')
    return Number(/^Rss:\s+(\d+) kB/m.exec(rollup)?.[1]) * 1024
  }

  isUp(): boolean {
    return isAlive(this.upPid)
  }
}

export const command = new URL('../../client/command/main.js', import.meta.url).pathname
