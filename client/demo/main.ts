// npm run demo: a service of its own, real images, and a dozen programs on every backend that this machine has.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { showMicros } from '../command/quantity.js'
import { Caisson } from '../sdk/caisson.js'
import type { BackendOffer, Isolation } from '../sdk/model.js'
import { findInstallation } from '../up/installation.js'
import { Log } from '../up/log.js'
import { Service } from '../up/service.js'
import { Stops } from '../up/stops.js'
import { cases, specOf, surprise } from './cases.js'
import { say, showRun } from './show.js'

const imageFolder = '/var/cache/caisson/images'

const isolationOf = { container: 'CONTAINER', microvm: 'MICROVM_REQUIRED' } as const satisfies Record<string, Isolation>

async function main(): Promise<number> {
  if (process.getuid?.() !== 0) throw new Error('the demo must be root, as "caisson up" must')
  makeImages()
  const stops = new Stops()
  await using demo = await DemoService.start(stops)
  say(`\nA service of its own is ready at ${demo.address}; ${demo.service.redisPromise}.`)
  using caisson = Caisson.connect({ address: demo.address })
  const offers = (await caisson.workers()).flatMap((worker) => worker.offers)
  const surprises: string[] = []
  for (const offer of offers) {
    if (stops.first.aborted) break
    if (offer.unavailable !== '') say(`\n== ${offer.backend}: not here: ${offer.unavailable}`)
    else surprises.push(...(await runAll(caisson, offer, stops.first)))
  }
  return conclude(surprises, offers, stops)
}

async function runAll(caisson: Caisson, { backend, vmm, accelerator }: BackendOffer, signal: AbortSignal): Promise<string[]> {
  say(`\n== ${[backend, vmm, accelerator].filter(Boolean).join(' ')}`)
  const surprises: string[] = []
  for (const demoCase of cases) {
    if (signal.aborted) break
    say(`\n  A program that ${demoCase.title}  [${demoCase.image}]`)
    const started = performance.now()
    const { verdict, output } = await showRun(caisson.run(specOf(demoCase, imageFolder, isolationOf[backend]), { signal }))
    const wrong = surprise(demoCase, verdict, output)
    say(
      `    ${wrong ? `NOT AS EXPECTED: ${wrong}` : 'as expected'}, ${showMicros(Math.round((performance.now() - started) * 1000))} from submit to verdict`,
    )
    if (wrong) surprises.push(`${backend}: ${demoCase.title}: ${wrong}, was ${verdict.outcome}`)
  }
  return surprises
}

function conclude(surprises: string[], offers: BackendOffer[], stops: Stops): number {
  if (stops.first.aborted) return 130
  const backends = offers.filter(({ unavailable }) => unavailable === '').map(({ backend }) => backend)
  if (backends.length === 0) surprises.push('no backend works here: see "npx caisson doctor"')
  if (surprises.length === 0) say(`\nAll ${cases.length} programs ended as expected (${backends.join(', ')}).`)
  for (const line of surprises) say(`\nNOT AS EXPECTED: ${line}`)
  return surprises.length === 0 ? 0 : 1
}

function makeImages(): void {
  const { status } = spawnSync(join(findInstallation().folder, 'scripts', 'images'), { stdio: 'inherit' })
  if (status !== 0) throw new Error('scripts/images could not make the images')
}

/** Gone without a trace afterwards. */
class DemoService implements AsyncDisposable {
  private constructor(
    readonly service: Service,
    readonly address: string,
    private readonly folders: string[],
    private readonly stops: Stops,
  ) {}

  static async start(stops: Stops): Promise<DemoService> {
    const name = `demo-${process.pid}`
    const state = await mkdtemp(join(tmpdir(), 'caisson-demo-'))
    // Control, worker and Redis pass through it as an ordinary user.
    await chmod(state, 0o755)
    const folders = [state, join('/run/caisson', name)]
    const listen = `127.0.0.1:${await freePort()}`
    const options = { name, state, images: [imageFolder], listen, redisMemoryBytes: 256 << 20, workerArgs: [], controlArgs: [] }
    const log = new RecentLines()
    try {
      const service = await Service.start(options, new Log(log, 'people'), stops.first)
      return new DemoService(service, listen, folders, stops)
    } catch (error) {
      say(log.lines.join('\n'))
      await removeAll(folders)
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service.stop(this.stops.second)
    await removeAll(this.folders)
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

async function removeAll(folders: string[]): Promise<void> {
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('no port is free')
  return address.port
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
