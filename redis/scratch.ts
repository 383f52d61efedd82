// A Redis for one test file: a process of its own on a unix socket in a temporary folder, durable as `caisson up` has it.
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import type { QueueName } from '../proto/job.js'
import type { caisson } from '../proto/messages.js'
import { connect, connectTail, type Patience } from './connect.js'
import type { Runs } from './runs.js'
import type { TailConnection } from './tailConnection.js'
import type { ClaimedRun } from './take.js'

export interface ScratchRedis extends AsyncDisposable {
  readonly address: string
  /** Connections are closed with it. */
  connect(patience?: Patience): Redis
  tail(): TailConnection
  signal(name: NodeJS.Signals): void
  /** SIGKILL, then `meanwhile`, then again with the same folder. */
  restart(meanwhile: () => Promise<unknown>): Promise<void>
}

export async function scratchRedis(...options: string[]): Promise<ScratchRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'caisson-redis-'))
  const address = join(folder, 'redis.sock')
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', '', '--maxmemory-policy', 'noeviction']
  const args = ['--port', '0', '--unixsocket', address, '--dir', folder, ...durable, ...options]
  const start = () => spawn('redis-server', args, { stdio: 'ignore' })
  let server = start()
  const opened: { disconnect(): void }[] = []
  // Also where a test ends without disposing of it.
  const kill = () => server.kill('SIGKILL')
  process.once('exit', kill)

  const scratch: ScratchRedis = {
    address,
    connect(patience = 'patient') {
      const redis = connect(address, 'test', patience)
      opened.push(redis)
      return redis
    },
    tail() {
      const tail = connectTail(address, 'test')
      opened.push(tail)
      return tail
    },
    signal(name) {
      server.kill(name)
    },
    async restart(meanwhile) {
      server.kill('SIGKILL')
      await once(server, 'exit')
      try {
        await meanwhile()
      } finally {
        server = start()
      }
    },
    async [Symbol.asyncDispose]() {
      process.off('exit', kill)
      for (const redis of opened) redis.disconnect()
      server.kill('SIGKILL')
      if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
      await rm(folder, { recursive: true, force: true })
    },
  }
  await scratch.connect().ping()
  return scratch
}

/** Takes what waits until it is this run's turn; undefined: it does not wait. */
export async function takeRun(
  runs: Runs,
  runId: string,
  placement: caisson.v1.IPlacement,
  queue: QueueName = 'container',
): Promise<ClaimedRun | undefined> {
  for (;;) {
    const { run, othersWait } = await runs.take({ queue, token: randomUUID(), lockMs: 30_000, placement })
    if (run?.runId === runId) return run
    if (!othersWait) return undefined
  }
}
