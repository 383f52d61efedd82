// What a receipt says. Pure: every fact comes from the launcher, the agent's Hello, the image or the run's record.
import { caisson } from '../../proto/messages.js'
import {
  canonicalJson,
  predicateType,
  type Receipt,
  type ReceiptImage,
  type ReceiptWall,
  type Statement,
  statementType,
} from '../../proto/receipt.js'
import { chainIds } from '../image/documents/config.js'
import type { PreparedImage } from '../image/images.js'
import type { Wall } from '../sandbox/sandbox.js'

const { Effect, Outcome } = caisson.v1

/** Of a deeper image the chain id alone stands for its layers. */
const mostDiffIds = 16
/** Of what others may make long. */
const mostText = 256

export interface Facts {
  runId: string
  attempt: number
  workerId: string
  submittedMs: number
  startedMs: number | undefined
  endedMs: number
  specDigest: string
  verdict: caisson.v1.IVerdict
  image: Pick<PreparedImage, 'manifestDigest' | 'diffIds'> | undefined
  wall: Wall | undefined
  /** The launcher's word, where there was time for it. */
  enforced: caisson.launch.v1.IEnforced | undefined
  limits: caisson.v1.ILimits
  /** The agent was told to execute. */
  executed: boolean
}

export function statementOf(facts: Facts): string {
  const { image, specDigest } = facts
  const subject: Statement['subject'] = [{ name: 'spec', digest: { sha256: specDigest } }]
  if (image) subject.push({ name: 'image', digest: { sha256: image.manifestDigest.replace('sha256:', '') } })
  return canonicalJson({ _type: statementType, subject, predicateType, predicate: receiptOf(facts) } satisfies Statement)
}

function receiptOf(facts: Facts): Receipt {
  const { runId, attempt, workerId, submittedMs, startedMs, endedMs, image, wall } = facts
  return {
    run: {
      id: runId,
      attempt,
      submittedAt: iso(submittedMs),
      ...(startedMs !== undefined && { startedAt: iso(startedMs) }),
      endedAt: iso(endedMs),
    },
    worker: { id: workerId },
    verdict: verdictOf(facts.verdict),
    ...(image && { image: imageOf(image) }),
    ...(wall && { wall: wallOf(wall), limits: limitsOf(facts, wall) }),
  }
}

function verdictOf({ outcome, reason, effect, exitCode, signal }: caisson.v1.IVerdict): Receipt['verdict'] {
  return {
    outcome: Outcome[outcome ?? 0] ?? '',
    reason: reason ?? '',
    effect: Effect[effect ?? 0] ?? '',
    ...(exitCode != null && { exitCode }),
    ...(signal != null && { signal }),
  }
}

/** A digest a layer, once for each image. */
const chains = new WeakMap<readonly string[], string | undefined>()

function imageOf({ manifestDigest, diffIds }: Pick<PreparedImage, 'manifestDigest' | 'diffIds'>): ReceiptImage {
  if (!chains.has(diffIds)) chains.set(diffIds, chainIds(diffIds).at(-1))
  const chainId = chains.get(diffIds)
  return {
    manifest: manifestDigest,
    layers: diffIds.length,
    ...(chainId !== undefined && { chainId }),
    ...(diffIds.length <= mostDiffIds && { diffIds }),
  }
}

function wallOf({ backend, observed, seccompDigest, vmm }: Wall): ReceiptWall {
  const { machine, label } = observed
  return {
    backend,
    kernel: short(observed.kernel),
    cgroups: observed.cgroupVersion ?? 0,
    launcher: digest(observed.launcherDigest),
    agent: digest(observed.agentDigest),
    seccomp: {
      ...(seccompDigest && { program: digest(seccompDigest) }),
      ...(machine && { vmm: digest(machine.seccompDigest) }),
    },
    namespaces: Object.fromEntries((observed.namespaces ?? []).map(({ kind, inode }) => [kind ?? '', inode ?? 0])),
    uids: { first: observed.firstUid ?? 0, count: observed.uids ?? 0 },
    ...(label != null && { label: short(label) }),
    ...(vmm && machine && { vmm: { ...vmm, version: short(vmm.version), program: digest(machine.vmmDigest) } }),
    ...(machine && { guest: { kernel: digest(machine.kernelDigest), initramfs: digest(machine.initramfsDigest) } }),
  }
}

function limitsOf({ enforced, limits, executed }: Facts, { backend }: Wall): NonNullable<Receipt['limits']> {
  const { memoryBytes, pids, diskBytes, diskBytesPerSecond, openFiles, outputBytes } = limits
  const inside = backend === 'microvm' ? { memoryBytes, pids, diskBytes, openFiles } : { openFiles }
  return {
    ...(enforced && { host: numbers({ ...enforced, diskBytesPerSecond, outputBytes }) }),
    ...(executed && { agent: numbers(inside) }),
  }
}

function numbers(fields: object): Record<string, number> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => typeof value === 'number'))
}

const digest = (bytes: Uint8Array | null | undefined): string => `sha256:${Buffer.from(bytes ?? []).toString('hex')}`
const iso = (ms: number): string => new Date(ms).toISOString()
const short = (text: string | null | undefined): string => (text ?? '').slice(0, mostText).replace(/[^ -~]/g, '?')
