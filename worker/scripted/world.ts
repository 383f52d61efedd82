// For tests: a worker with everything real but the launcher, and a client's view of its runs.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { workerKey } from '../../proto/keys.js'
import { caisson } from '../../proto/messages.js'
import { readEvents } from '../../redis/events.js'
import { Inbox } from '../../redis/inbox.js'
import { Queues } from '../../redis/queue.js'
import { Runs } from '../../redis/runs.js'
import { type ScratchRedis, scratchRedis } from '../../redis/scratch.js'
import { Submissions } from '../../redis/submissions.js'
import { StreamTail } from '../../redis/tail.js'
import { Capacity, shareOf } from '../capacity.js'
import type { Host } from '../host.js'
import type { HeldImage } from '../image/images.js'
import { maxLowers } from '../image/layers/lowers.js'
import type { Log } from '../log.js'
import { Intake } from '../queue.js'
import { ReceiptKey } from '../receipt/key.js'
import { containersOf, prepareContainer, readyContainers } from '../sandbox/container.js'
import { Pool } from '../sandbox/pool.js'
import type { Script } from './agent.js'
import { ScriptedLauncher } from './launcher.js'

export const image: HeldImage = {
  manifestDigest: 'sha256:00',
  configDigest: 'sha256:01',
  diffIds: [],
  layerKeys: ['sha256-02'],
  storedBytes: 1,
  config: { entrypoint: [], cmd: [], env: [], workingDir: '', user: '' },
  about: { architecture: '', os: '', author: '', created: '', labels: {}, history: [], truncated: false },
  blobs: [],
  [Symbol.dispose]: () => {},
}

/** What a verdict says in three words. */
export const outcomes = ({ verdict }: { verdict: caisson.v1.IVerdict }) => [
  caisson.v1.Outcome[verdict.outcome ?? 0],
  verdict.reason,
  caisson.v1.Effect[verdict.effect ?? 0],
]

const limits = {
  cpuMillis: 100,
  memoryBytes: 1 << 20,
  pids: 10,
  diskBytes: 1 << 20,
  outputBytes: 1 << 20,
  wallMs: 60_000,
  cpuMs: 60_000,
  openFiles: 100,
}

export class World implements AsyncDisposable {
  /** The worker's word for which images it has. */
  atHand: [reference: string, digest: string][] = []
  /** What comes of preparing any image. */
  prepare: () => Promise<HeldImage> = async () => image

  private constructor(
    /** What the worker logged as errors. */
    readonly logged: string[],
    readonly redis: ScratchRedis,
    readonly launcher: ScriptedLauncher,
    readonly host: Host,
    readonly intake: Intake,
    readonly submissions: Submissions,
    readonly inbox: Inbox,
    private readonly folder: string,
  ) {}

  static async open(scripts: Record<string, Script>): Promise<World> {
    const folder = await mkdtemp(join(tmpdir(), 'caisson-worker-'))
    const redis = await scratchRedis()
    const launcher = new ScriptedLauncher(folder, scripts)
    await launcher.listen()
    const queues = new Queues(redis.connect())
    await queues.ready()
    const client = redis.connect()
    await client.set(workerKey('w'), '')
    const inbox = new Inbox(client, new StreamTail(redis.tail(), client))
    const logged: string[] = []
    const log: Log = {
      info: () => {},
      error: (message, cause) => logged.push(`${message}: ${cause instanceof Error ? cause.message : cause}`),
    }
    const host: Host = {
      runs: new Runs(client, queues),
      inbox,
      credentials: { of: async () => undefined },
      images: { prepare: () => world.prepare(), atHand: () => world.atHand },
      pool: containersOf(
        new Pool(
          () => prepareContainer(launcher.path),
          { ...readyContainers, least: 2, most: 4, parallel: 2 },
          (problem) => problem && void intake.withdraw(),
        ),
      ),
      startsAtOnce: true,
      maxLowers,
      capacity: new Capacity({ cpuMillis: 1000, memoryBytes: 1 << 30 }, 100),
      share: shareOf,
      receiptKey: ReceiptKey.fresh(),
      placement: { workerId: 'w', backend: caisson.v1.Backend.BACKEND_CONTAINER },
      log,
    }
    const intake = new Intake(host, 'container', redis.connect(), redis.connect())
    const world = new World(logged, redis, launcher, host, intake, new Submissions(redis.connect(), queues), inbox, folder)
    void intake.serve()
    return world
  }

  async submit(spec: caisson.v1.IRunSpec, over: caisson.v1.ILimits = {}): Promise<string> {
    const created = await this.submissions.create({
      spec: { image: 'oci:/images/a', ...spec },
      limits: { ...limits, ...over },
      queue: 'container',
      idempotencyKey: '',
      retentionMs: 60_000,
      message: '',
      maxWaiting: 1000,
    })
    if (created.outcome !== 'created') throw new Error(created.outcome)
    return created.runId
  }

  async run(spec: caisson.v1.IRunSpec, over: caisson.v1.ILimits = {}): Promise<Ended> {
    return this.end(await this.submit(spec, over))
  }

  async record(runId: string): Promise<caisson.v1.Run> {
    const run = await this.host.runs.get(runId)
    if (!run) throw new Error(`no run ${runId}`)
    return run
  }

  async until(runId: string, state: caisson.v1.State): Promise<void> {
    while ((await this.record(runId)).state !== state) await delay(5)
  }

  async end(runId: string): Promise<Ended> {
    await this.until(runId, caisson.v1.State.ENDED)
    const events = await readEvents(this.redis.connect(), runId)
    const outputOf = (stream: caisson.v1.Stream) =>
      Buffer.concat(events.flatMap(({ output }) => (output?.stream === stream ? [output.data ?? Buffer.alloc(0)] : [])))
    const { verdict } = await this.record(runId)
    return { verdict: verdict ?? {}, events, stdout: outputOf(1), stderr: outputOf(2) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.intake.drain(0)
    await this.intake.close()
    this.host.pool.close()
    await this.launcher.die().catch(() => {})
    await this.redis[Symbol.asyncDispose]()
    await rm(this.folder, { recursive: true, force: true })
  }
}

export interface Ended {
  verdict: caisson.v1.IVerdict
  events: caisson.v1.RunEvent[]
  stdout: Buffer
  stderr: Buffer
}
