// Verifies receipts, offline: with the keys of the workers that the caller trusts.

import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { caisson } from '../../proto/messages.js'
import {
  type Envelope,
  maxReceiptBytes,
  payloadType,
  predicateType,
  type Statement,
  signedBytes,
  statementType,
} from '../../proto/receipt.js'
import { specDigest } from '../../proto/specDigest.js'

/** MALFORMED: not a receipt. UNKNOWN_KEY: signed by none of the keys. BAD_SIGNATURE: named one of the keys, which did not sign this. */
export type ReceiptFault = 'MALFORMED' | 'UNKNOWN_KEY' | 'BAD_SIGNATURE'

export class ReceiptError extends Error {
  override readonly name = 'ReceiptError'
  constructor(
    readonly fault: ReceiptFault,
    message: string,
  ) {
    super(message)
  }
}

const endOfKey = '-----END PUBLIC KEY-----'
const signatureBytes = 64

/** From PEM, of any number of keys, one after the other. Throws where there is none, or one of another kind. */
export function readKeys(pem: string): KeyObject[] {
  const texts = pem.split(endOfKey).slice(0, -1)
  const keys = texts.map((text) => createPublicKey(text + endOfKey))
  if (keys.length === 0 || keys.some((key) => key.asymmetricKeyType !== 'ed25519'))
    throw new Error('no public key of ed25519 (PEM, BEGIN PUBLIC KEY)')
  return keys
}

export function keyId(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex')
}

/** What it says, once it is certain that the holder of one of the keys signed it. Throws ReceiptError. */
export function verifyReceipt(envelope: Uint8Array, keys: readonly KeyObject[]): Statement {
  const { payload, signature, keyid } = readEnvelope(envelope)
  const key = keys.find((key) => keyId(key) === keyid)
  if (!key) throw new ReceiptError('UNKNOWN_KEY', `signed by the key ${keyid}, which is none of those given`)
  if (!verify(null, signedBytes(payloadType, payload), key, signature))
    throw new ReceiptError('BAD_SIGNATURE', `the signature is not one of this receipt by the key ${keyid}`)
  return readStatement(payload)
}

/** What it says, whoever said it: to be shown, not to be relied on. */
export const unverifiedReceipt = (envelope: Uint8Array): Statement => readStatement(readEnvelope(envelope).payload)

function readEnvelope(bytes: Uint8Array): { payload: Buffer; signature: Buffer; keyid: string } {
  if (bytes.length > maxReceiptBytes) throw malformed(`${bytes.length} bytes, at most ${maxReceiptBytes}`)
  const envelope = parse(bytes, 'envelope') as Partial<Envelope>
  if (envelope.payloadType !== payloadType) throw malformed(`its payloadType is not ${payloadType}`)
  const signatures: unknown = envelope.signatures
  if (!Array.isArray(signatures) || signatures.length !== 1) throw malformed('it must have one signature')
  const { keyid, sig }: { keyid?: unknown; sig?: unknown } = signatures[0] ?? {}
  if (typeof keyid !== 'string') throw malformed('its signature names no key')
  const signature = base64(sig, 'signature')
  if (signature.length !== signatureBytes) throw malformed(`its signature has ${signature.length} bytes, not ${signatureBytes}`)
  return { payload: base64(envelope.payload, 'payload'), signature, keyid: keyid.slice(0, 128) }
}

function readStatement(payload: Buffer): Statement {
  const statement = parse(payload, 'payload') as Partial<Statement>
  if (statement._type !== statementType) throw malformed(`its _type is not ${statementType}`)
  if (statement.predicateType !== predicateType) throw malformed(`its predicateType is not ${predicateType}`)
  if (typeof statement.predicate?.run?.id !== 'string') throw malformed('it names no run')
  return statement as Statement
}

function parse(bytes: Uint8Array, what: string): object {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // Told below.
  }
  throw malformed(`its ${what} is no JSON object`)
}

/** Of several texts that mean the same bytes only the usual one. */
function base64(text: unknown, what: string): Buffer {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'base64') : undefined
  if (bytes?.toString('base64') !== text || !bytes) throw malformed(`its ${what} is not base64`)
  return bytes
}

const malformed = (what: string) => new ReceiptError('MALFORMED', `not a receipt: ${what}`)

/** Fields of a run's record that say other than its receipt. */
export function disagreements({ subject, predicate }: Statement, run: caisson.v1.IRun): string[] {
  const { verdict, image } = predicate
  const spec = subject.find(({ name }) => name === 'spec')?.digest.sha256
  const { outcome, reason, effect, exitCode, signal } = run.verdict ?? {}
  const pairs: Record<string, [unknown, unknown]> = {
    attempt: [predicate.run.attempt, run.attempt],
    spec: [spec, specDigest(run.spec ?? {})],
    image: [image?.manifest ?? '', run.imageDigest ?? ''],
    outcome: [verdict.outcome, caisson.v1.Outcome[outcome ?? 0]],
    reason: [verdict.reason, reason],
    effect: [verdict.effect, caisson.v1.Effect[effect ?? 0]],
    'exit code': [verdict.exitCode ?? 0, exitCode ?? 0],
    signal: [verdict.signal ?? 0, signal ?? 0],
  }
  return Object.entries(pairs).flatMap(([field, [said, recorded]]) => (said === recorded ? [] : [field]))
}
