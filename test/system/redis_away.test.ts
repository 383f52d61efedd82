// Redis goes away under runs: they go on, and no byte of their logs is lost or doubled.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Caisson } from '../../client/sdk/caisson.js'
import { small } from '../harness/crowd.js'
import { container, describeVerdict, finish, sh } from '../harness/finish.js'
import { expectSameHost, type Host, lookAtHost } from '../harness/host.js'
import { freePort, Instance } from '../harness/instance.js'

let host: Host
let folder: string
let redis: OwnRedis
let instance: Instance

before(async () => {
  host = await lookAtHost()
  folder = await mkdtemp(join(tmpdir(), 'caisson-t-redis-'))
  redis = new OwnRedis(folder, await freePort())
  await redis.start()
  instance = await Instance.start({ args: ['--redis', redis.url] })
})

after(async () => {
  await instance?.stop()
  await redis?.stop()
  await rm(folder, { recursive: true })
  if (instance) await expectSameHost(host, instance.name)
})

test('Redis stopped for 5 s and started again', { timeout: 120_000 }, async () => {
  const finished = await talkers(instance.caisson)
  await sleep(1500)
  await redis.stop()
  await sleep(5000)
  await redis.start()
  await expectEveryLine(finished)
})

test('Redis killed with -9, and started again', { timeout: 120_000 }, async () => {
  const finished = await talkers(instance.caisson)
  await sleep(1500)
  await redis.stop('SIGKILL')
  await redis.start()
  await expectEveryLine(finished)
})

test('Redis that does not answer for 5 s', { timeout: 120_000 }, async () => {
  const finished = await talkers(instance.caisson)
  await sleep(1500)
  redis.signal('SIGSTOP')
  await sleep(5000)
  redis.signal('SIGCONT')
  await expectEveryLine(finished)
})

const lines = 400

async function talkers(caisson: Caisson) {
  const args = sh(`i=0; while [ $i -lt ${lines} ]; do echo line $i; i=$((i+1)); sleep 0.02; done`)
  const submitted = await Promise.all(Array.from({ length: 8 }, () => caisson.submit(container({ args, limits: small }))))
  return submitted.map(({ runId }) => finish(caisson.watch(runId)))
}

async function expectEveryLine(finished: ReturnType<typeof finish>[]): Promise<void> {
  const expected = Array.from({ length: lines }, (_, i) => `line ${i}\n`).join('')
  for (const one of await Promise.all(finished)) {
    assert.equal(one.verdict.outcome, 'EXITED', describeVerdict(one))
    assert.equal(one.stdout.toString(), expected)
  }
}

class OwnRedis {
  #server: ChildProcess | undefined

  constructor(
    private readonly folder: string,
    private readonly port: number,
  ) {}

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const options = ['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction', '--save', '']
    this.#server = spawn('redis-server', ['--bind', '127.0.0.1', '--port', String(this.port), '--dir', this.folder, ...options], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const output = this.#server.stdout
    if (!output) throw new Error('no output of redis-server')
    for await (const data of output.iterator({ destroyOnReturn: false })) if (String(data).includes('Ready to accept')) break
    output.resume()
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const server = this.#server
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    const exited = new Promise((resolve) => server.once('exit', resolve))
    server.kill(signal)
    await exited
  }

  signal(signal: NodeJS.Signals): void {
    this.#server?.kill(signal)
  }
}
