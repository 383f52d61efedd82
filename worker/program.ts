// The program of a run, as the worker sees it: output to the log, inbox to its stdin, and how it ended.
import { capabilityNumber } from '../proto/capabilities.js'
import { caisson } from '../proto/messages.js'
import { Failure } from '../proto/reason.js'
import { parseProfile } from '../proto/seccomp.js'
import type { ClaimedRun } from '../redis/take.js'
import type { Input } from './agent/input.js'
import type { AgentProcess, Report } from './agent/process.js'
import { untilEnded } from './execution.js'
import type { Host } from './host.js'
import type { Process } from './image/process.js'
import { RunInbox } from './inbox.js'
import { type LogOwner, LogWriter } from './logs/writer.js'
import type { Sandbox } from './sandbox/sandbox.js'
import type { Stop } from './stop.js'

const { StopReason } = caisson.launch.v1

/** Of each stream: what a program may be ahead of Redis. */
const outputCredit = 1 << 20
/** The launcher keeps the wall clock; this much later it is not going to. */
const watchdogMs = 30_000

export class Program implements Disposable {
  readonly log: LogWriter
  readonly #run: ClaimedRun
  readonly #stop: Stop
  readonly #inbox: RunInbox
  #sandbox: Sandbox | undefined
  #process: AgentProcess | undefined
  /** How far it came, and the agent's word for its end. */
  reached: 'preparing' | 'executing' | 'started' = 'preparing'
  report: Report | undefined
  /** What the limits inside of a machine did, by the agent's word. */
  counters: caisson.agent.v1.ICounters | undefined

  /** Listens for the client's wishes from now on. */
  constructor({ inbox, log }: Host, run: ClaimedRun, report: LogOwner['report'], stop: Stop) {
    const { runId, attempt, limits } = run
    this.#run = run
    this.#stop = stop
    const fenced = () => stop.now(new Failure('WORKER_LOST', 'the run has gone to another attempt'))
    const refused = (error: unknown) => log.error('Redis refused a report', error, { runId, attempt })
    const cancel = () => stop.now(new Failure('CANCELLED', 'cancelled'))
    const broken = (error: unknown) => stop.now(error)
    const acknowledged = (stream: caisson.agent.v1.Stream, bytes: number) => this.#process?.credit(stream, bytes)
    const exceeded = () => this.#sandbox?.stop(StopReason.OUTPUT)
    this.log = new LogWriter({ report, acknowledged, exceeded, fenced, refused }, attempt, limits.outputBytes ?? 0)
    this.#inbox = new RunInbox(inbox, run, { cancel, fenced, refused, broken })
  }

  /** From Exec until its end is reported, or it is certain that nobody will report it. `started` is called as soon as it runs. */
  async execute(sandbox: Sandbox, process: Process, started: () => void): Promise<void> {
    const { spec, limits } = this.#run
    const late = () => new Failure('INTERNAL', 'the wall clock of the sandbox did not end it')
    using _watchdog = this.#stop.after((limits.wallMs ?? 0) + watchdogMs, late)
    this.#sandbox = sandbox
    const request = {
      ...process,
      rlimits: { openFiles: limits.openFiles ?? 0 },
      stdin: spec.stdin !== undefined,
      ...(spec.seccomp && { filter: parseProfile(spec.seccomp) }),
      capabilities: (spec.capabilities ?? []).map(capabilityNumber),
    }
    this.reached = 'executing'
    const running = sandbox.agent.start(sandbox.setup, request, outputCredit, {
      started: (input) => {
        this.reached = 'started'
        started()
        this.log.running()
        void this.#feed(running, input)
      },
      output: (stream, offset, data) => this.log.output(stream, offset, data),
    })
    this.#process = running
    this.report = await untilEnded(running.ended, sandbox, this.#stop, this.log)
    if (sandbox.refused) this.reached = 'preparing'
    // Of a container the host counts itself.
    if (sandbox.countsInside && this.report?.kind !== 'failed') this.counters = this.report?.counters
  }

  [Symbol.dispose](): void {
    this.#inbox[Symbol.dispose]()
  }

  async #feed(process: AgentProcess, input: Input): Promise<void> {
    const { spec } = this.#run
    this.#inbox.attach(process, input)
    if (spec.stdinAttach || !spec.stdinInline) return
    await input.write(spec.stdinInline)
    input.end()
  }
}
