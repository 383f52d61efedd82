// What a user of the SDK reads and writes: plain objects, names instead of numbers, Dates, and one type per kind of event.
// These are also the shapes of `caisson --json` (see json.ts).

import type { caisson } from '../../proto/messages.js'

type Names<Enum> = Exclude<keyof Enum, `${string}UNSPECIFIED`>

export type State = Names<typeof caisson.v1.State>
export type Outcome = Names<typeof caisson.v1.Outcome>
export type Effect = Names<typeof caisson.v1.Effect>
export type Pull = Names<typeof caisson.v1.Pull>
export type Isolation = Names<typeof caisson.v1.Isolation>
export type StreamName = 'stdout' | 'stderr'
export type BackendName = 'container' | 'microvm'

/** Goes to the registry of the image, and to no other host. */
export type RegistryCredential = { username: string; password: string } | { identityToken: string }

/** What to run. Unset fields mean the documented default, never unlimited. */
export interface RunSpec {
  /**
   * In a registry, as Docker writes it: [HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]. Or oci:PATH[:TAG], oci-archive:PATH[:TAG],
   * docker-archive:PATH[:TAG], inside a folder that the worker's operator allowed.
   */
  image: string
  /** When a registry is asked what the image's name stands for. Default IF_NOT_PRESENT. */
  pull?: Pull
  /** Replaces the image's Cmd. */
  args?: readonly string[]
  /** Set, even if empty: replaces the image's Entrypoint; the image's Cmd is not used then. */
  entrypoint?: readonly string[]
  /** Added to the image's environment. */
  env?: Readonly<Record<string, string>>
  /** Absolute; default: the image's. Created when missing. */
  cwd?: string
  /** "user" or "user:group", numbers or names of the image. Default: the image's, or root of the sandbox. */
  user?: string
  /** At most 64. */
  labels?: Readonly<Record<string, string>>
  /** Bytes (at most 1 MiB): all of the input. 'attach': input comes by attach(). Unset: the program reads /dev/null. */
  stdin?: Uint8Array | 'attach'
  limits?: Limits
  /** JSON of an OCI seccomp profile, on top of the sandbox's own: it can only take away. Must allow execve. At most 64 KiB. */
  seccomp?: string
  /** Names, of those that the operator granted to this client's token. Default: none. */
  capabilities?: readonly string[]
  /** Default MICROVM_PREFERRED. */
  isolation?: Isolation
  /** 0 (default, first) to 1,000,000 (last). */
  priority?: number
  /** Not started by then: verdict EXPIRED_IN_QUEUE. 1 to 604,800,000 ms after the submit. Default: no deadline. */
  startWithinMs?: number
  /** How long record and log outlive the end. 1,000 to 2,592,000,000 ms; default 86,400,000 (1 day). */
  retentionMs?: number
  /** Allows a new attempt after the service's failure even where the program had started: it may then run twice. Default false. */
  retryAfterStart?: boolean
  /** Wait in the queue when no living worker offers the isolation, instead of FAILED_PRECONDITION. Default false. */
  waitForWorker?: boolean
}

/** The operator's maximum may be lower than the ranges here: see workers(). */
export interface Limits {
  /** Rate in thousandths of a core, from 10; default 1,000. */
  cpuMillis?: number
  /** From 4 MiB; default 256 MiB. Swap is always 0. */
  memoryBytes?: number
  /** Processes and threads, 1 to 32,768; default 128. */
  pids?: number
  /** What may be written to the file system, from 1 MiB; default 1 GiB. */
  diskBytes?: number
  /** stdout and stderr together, 0 to 16 GiB; default 16 MiB. */
  outputBytes?: number
  /** From the start of the process, 1 to 604,800,000 ms; default 60,000. */
  wallMs?: number
  /** User and system time of all processes, 1 to 604,800,000 ms; default wallMs x cpuMillis / 1,000. */
  cpuMs?: number
  /** RLIMIT_NOFILE, 8 to 1,048,576; default 1,024. */
  openFiles?: number
  /** Rate of reading and of writing the run's own disk, each; from 64 KiB. Default: as fast as the machine is. */
  diskBytesPerSecond?: number
}

/** Where an attempt ran. */
export interface Placement {
  workerId: string
  backend: BackendName
  /** "qemu" …; empty in a container. */
  vmm: string
  /** "kvm" or "tcg"; empty in a container. */
  accelerator: string
}

export interface Run {
  runId: string
  spec: RunSpec
  state: State
  /** 1 for the first try. */
  attempt: number
  placement?: Placement
  /** Of the manifest as resolved, "sha256:<hex>"; empty until known. */
  imageDigest: string
  submittedAt?: Date
  startedAt?: Date
  endedAt?: Date
  /** Set when state is ENDED. */
  verdict?: Verdict
  /** The limits in force. */
  limits: Limits
}

/** The end of a run. Program outcomes are data: none of these is thrown. */
/** In a microVM: what its own limits did, which the host cannot see. */
export interface ReportedInside {
  oomKills?: number
  pidsDenied?: number
  diskFull?: boolean
}

export interface Verdict {
  outcome: Outcome
  /** The program's, 0-255; unset when it did not exit by itself. */
  exitCode?: number
  /** With SIGNALED, 1-64. */
  signal?: number
  /** Whether a retry is safe: NEVER_STARTED says so. */
  effect: Effect
  /** For people. */
  message: string
  /** Constant of proto/reason.ts; empty when there is nothing to add to the outcome. */
  reason: string
  /** Seen by the host itself. */
  observed: Observed
  /** Said by the agent inside the sandbox; unset when it reported no end. */
  reported?: ({ exitCode: number } | { signal: number }) & ReportedInside
  /** Seen by the host; a field that the machine cannot measure is absent. */
  usage: Usage
  /** Microseconds of each stage. */
  stages: { queuedUs: number; imageUs: number; sandboxUs: number; processUs: number }
}

/** Of the program's cgroup; of a microVM, that of its VMM. What the host cannot see is absent, not zero. */
export interface Observed {
  oomKills?: number
  pidsDenied?: number
  /** Absent of a microVM. */
  diskFull?: boolean
  /** How often memory was at its limit, and the kernel looked for some to free. */
  memoryLimitHits?: number
  /** How often it found none; absent in cgroup v1. */
  memoryOomEvents?: number
  /** Absent where the kernel keeps none. */
  pressure?: Pressure
  cpuExceeded: boolean
  wallExceeded: boolean
  outputExceeded: boolean
  agentLost: boolean
}

/** The kernel's PSI: microseconds in which some, or all, of the processes waited for what they lacked. */
export interface Pressure {
  cpu?: Stall
  memory?: Stall
  io?: Stall
}

export interface Stall {
  someUs: number
  fullUs?: number
}

export interface Usage {
  wallUs?: number
  cpuUserUs?: number
  cpuSystemUs?: number
  memoryPeakBytes?: number
  pidsPeak?: number
  diskBytes?: number
  outputBytes?: number
}

export type RunEvent = { runId: string; cursor: string; time: Date } & (
  | { type: 'state'; state: State; attempt: number; placement?: Placement; message: string }
  | { type: 'progress'; what: string; digest: string; doneBytes: number; totalBytes: number }
  | { type: 'output'; stream: StreamName; offset: number; data: Buffer; attempt: number }
  | { type: 'truncated'; limitBytes: number }
  | { type: 'verdict'; verdict: Verdict }
)

/** A living worker. */
export interface Worker {
  workerId: string
  hostname: string
  offers: BackendOffer[]
  /** The highest a run may ask for on it. */
  maximum: Limits
  cpuMillisFree: number
  memoryBytesFree: number
  activeRuns: number
  seenAt?: Date
  draining: boolean
  /** Public key (PEM, ed25519) by which its receipts are verified. */
  receiptKey: string
}

export interface BackendOffer {
  backend: BackendName
  vmm: string
  accelerator: string
  /** False for an emulated VM: it is no security boundary. */
  counts: boolean
  /** Why it is not offered; empty when it is. */
  unavailable: string
  /** Why it is slower than it should be; empty when it is not. */
  limitation: string
  /** Of a microVM: its kernel and its VMM. */
  guest: string
  /** Why limits.diskBytesPerSecond cannot be kept; empty when it can. */
  diskRateUnavailable: string
  /** Of a microVM, the highest limits.memoryBytes; else that of the worker's maximum. */
  memoryBytes?: number
}
