// What the rows share: a running service, made when the first row needs it, and how many samples a median takes.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunSpec } from '../client/sdk/model.js'
import { freePort } from '../client/up/port.js'
import { Instance } from '../test/harness/instance.js'
import { knownOffers } from '../test/harness/offers.js'
import { OwnRedis } from '../test/harness/redis.js'
import { debian, PeerRoot } from './peers/root.js'
import type { Measured } from './result.js'

/** After so many its programs are compiled, and its pool has the size that one client needs. */
const warmUps = 2000

export interface Row {
  /** Of the results that it gives. */
  ids: string[]
  measure(bench: Bench): Promise<Measured[]>
}

export class Bench implements AsyncDisposable {
  #instance: Promise<Instance> | undefined
  #peers: PeerRoot | undefined
  /** Milliseconds by who took them, for the chart. */
  readonly latencies = new Map<string, number[]>()

  /** `guest`: the folder whose kernel microVMs boot. */
  constructor(
    readonly samples: number,
    readonly guest: string,
  ) {}

  /** `caisson up` as it comes, up for some seconds: it has tried out what it can boot. */
  instance(): Promise<Instance> {
    this.#instance ??= (async () => {
      const instance = await Instance.start()
      await knownOffers(instance.caisson)
      for (let i = 0; i < warmUps; i++) await runTrue(instance)
      return instance
    })()
    return this.#instance
  }

  peers(): PeerRoot {
    this.#peers ??= new PeerRoot()
    return this.#peers
  }

  say(text: string): void {
    process.stderr.write(`bench: ${text}\n`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#peers?.[Symbol.dispose]()
    await (await this.#instance)?.stop()
  }
}

export const trueSpec: RunSpec = { image: debian, args: ['/bin/true'], isolation: 'CONTAINER', retentionMs: 60_000 }

/** Milliseconds from submit to verdict, at the client. */
export async function runTrue({ caisson }: Instance, spec: RunSpec = trueSpec): Promise<number> {
  const before = performance.now()
  const verdict = await caisson.run(spec).verdict()
  const took = performance.now() - before
  if (verdict.outcome !== 'EXITED' || verdict.exitCode !== 0) throw new Error(`/bin/true ended as ${JSON.stringify(verdict)}`)
  return took
}

/** A Redis of its own for a peer. */
export async function withRedis<Result>(
  appendfsync: 'always' | 'everysec',
  use: (url: string) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'caisson-bench-redis-'))
  const redis = new OwnRedis(folder, await freePort(), appendfsync)
  await redis.start()
  try {
    return await use(redis.url)
  } finally {
    await redis.stop('SIGKILL')
    await rm(folder, { recursive: true })
  }
}
