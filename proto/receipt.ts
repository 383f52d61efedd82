// Receipts: what a worker signs about a run that it ended, and how (docs/receipts.md). A DSSE envelope (version 1) around an in-toto statement.

export const payloadType = 'application/vnd.in-toto+json'
export const statementType = 'https://in-toto.io/Statement/v1'
export const predicateType = 'urn:caisson:receipt:v1'

/** No worker makes a longer one, and nobody need read one. */
export const maxReceiptBytes = 8 << 10

export interface Envelope {
  payloadType: string
  /** Base64. */
  payload: string
  signatures: { keyid: string; sig: string }[]
}

export interface Statement {
  _type: typeof statementType
  subject: { name: 'spec' | 'image'; digest: { sha256: string } }[]
  predicateType: typeof predicateType
  predicate: Receipt
}

/** What was not observed is absent. Digests are "sha256:<hex>". */
export interface Receipt {
  run: { id: string; attempt: number; submittedAt: string; startedAt?: string; endedAt: string }
  worker: { id: string }
  verdict: { outcome: string; reason: string; effect: string; exitCode?: number; signal?: number }
  image?: ReceiptImage
  /** `host`: kept by kernel, launcher and worker. `agent`: kept inside of the sandbox. */
  limits?: { host?: Record<string, number>; agent?: Record<string, number> }
  /** Absent: the run never had a sandbox. */
  wall?: ReceiptWall
}

export interface ReceiptImage {
  manifest: string
  layers: number
  /** Of all layers together, as OCI defines it; absent of an image without any. */
  chainId?: string
  /** Oldest first; absent where there are more than 16. */
  diffIds?: string[]
}

export interface ReceiptWall {
  backend: 'container' | 'microvm'
  kernel: string
  cgroups: number
  launcher: string
  agent: string
  seccomp: { program?: string; vmm?: string }
  namespaces: Record<string, number>
  uids: { first: number; count: number }
  label?: string
  vmm?: { name: string; version: string; accelerator: string; program: string }
  guest?: { kernel: string; initramfs: string }
}

/** DSSE's pre-authentication encoding: what is signed. */
export function signedBytes(type: string, payload: Uint8Array): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `
  return Buffer.concat([Buffer.from(head), payload])
}

/** As RFC 8785 has it, of strings, whole numbers, lists and objects: so that one receipt has one text. */
export function canonicalJson(value: object): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}
