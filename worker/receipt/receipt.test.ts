import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import fc from 'fast-check'
import { keyId, ReceiptError, readKeys, unverifiedReceipt, verifyReceipt } from '../../client/sdk/receipt.js'
import { caisson } from '../../proto/messages.js'
import { type Envelope, maxReceiptBytes, payloadType, type Statement, signedBytes } from '../../proto/receipt.js'
import { ReceiptKey } from './key.js'
import { type Facts, statementOf } from './statement.js'

const { Effect, Outcome } = caisson.v1
const folder = mkdtempSync(join(tmpdir(), 'caisson-receipt-'))
after(() => rmSync(folder, { recursive: true }))

const digest = (byte: number) => Buffer.alloc(32, byte)
const diffIds = (count: number) => Array.from({ length: count }, (_, index) => `sha256:${String(index).padStart(64, '0')}`)
const kinds = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts']

const facts: Facts = {
  runId: 'r0123456789abcdefghijklmno',
  attempt: 1,
  workerId: 'w0123456789abcdef',
  submittedMs: 1_790_000_000_000,
  startedMs: 1_790_000_000_100,
  endedMs: 1_790_000_000_200,
  specDigest: digest(9).toString('hex'),
  verdict: { outcome: Outcome.EXITED, reason: 'EXITED', effect: Effect.COMPLETED, exitCode: 0, message: 'exit code 0' },
  image: { manifestDigest: `sha256:${digest(8).toString('hex')}`, diffIds: diffIds(3) },
  wall: {
    backend: 'microvm',
    observed: {
      launcherDigest: digest(1),
      agentDigest: digest(2),
      kernel: '6.12.48+deb13-amd64',
      namespaces: kinds.map((kind, index) => ({ kind, inode: 4_026_532_000 + index })),
      firstUid: 0x5000_0000,
      uids: 65_536,
      cgroupVersion: 2,
      machine: { vmmDigest: digest(3), kernelDigest: digest(4), initramfsDigest: digest(5), seccompDigest: digest(6) },
    },
    seccompDigest: digest(7),
    vmm: { name: 'qemu', version: '7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)', accelerator: 'kvm' },
  },
  enforced: { cpuMillis: 1000, memoryBytes: 2 ** 28, swapBytes: 0, pids: 128, diskBytes: 2 ** 30, cpuMs: 60_000, wallMs: 60_000 },
  limits: { cpuMillis: 1000, memoryBytes: 2 ** 28, pids: 128, diskBytes: 2 ** 30, outputBytes: 2 ** 24, openFiles: 1024 },
  executed: true,
}

const key = ReceiptKey.fresh()
const keys = readKeys(key.publicKey)
const sealed = key.seal(statementOf(facts))
const fault = (envelope: Uint8Array, trusted = keys): string => {
  try {
    verifyReceipt(envelope, trusted)
    return 'none'
  } catch (error) {
    return error instanceof ReceiptError ? error.fault : String(error)
  }
}

describe('the key', () => {
  test('is made once, for its owner alone', async () => {
    const at = join(folder, 'made')
    const [made, also] = await Promise.all([ReceiptKey.open(at), ReceiptKey.open(at)])
    assert.equal(made.publicKey, also.publicKey)
    const path = join(at, 'receipt-key.pem')
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(statSync(at).mode & 0o777, 0o700)
    assert.deepEqual(readdirSync(at), ['receipt-key.pem'])
    assert.equal((await ReceiptKey.open(at)).publicKey, made.publicKey)
    assert.equal(keyId(readKeys(made.publicKey)[0] as ReturnType<typeof readKeys>[0]), made.id)
  })

  test('one that others can read, or of another kind, is refused', async () => {
    const at = join(folder, 'lax')
    await ReceiptKey.open(at)
    const path = join(at, 'receipt-key.pem')
    chmodSync(path, 0o640)
    await assert.rejects(ReceiptKey.open(at), /mode 640/)
    chmodSync(path, 0o600)
    for (const text of ['', 'none', readFileSync(path, 'utf8').slice(0, 60)]) {
      writeFileSync(path, text)
      await assert.rejects(ReceiptKey.open(at), /no private key of ed25519/)
    }
  })
})

describe('a receipt', () => {
  test('has one text, of bounded size, and no key of an object out of order', () => {
    const shuffled = { ...facts, verdict: Object.fromEntries(Object.entries(facts.verdict).reverse()) }
    assert.equal(statementOf(shuffled), statementOf(facts))
    assert.equal(JSON.stringify(JSON.parse(statementOf(facts)), null, 0), statementOf(facts))
    assert.ok(sealed.length < 3_300, `${sealed.length} bytes`)
    const wall = facts.wall as NonNullable<Facts['wall']>
    const long = '"\u{1F600}\n'.repeat(1000)
    const vmm = { name: 'qemu', version: long, accelerator: 'kvm' }
    const observed = { ...wall.observed, label: long, kernel: long }
    for (const count of [16, 500]) {
      const image = { manifestDigest: `sha256:${digest(8).toString('hex')}`, diffIds: diffIds(count) }
      const most = key.seal(statementOf({ ...facts, workerId: 'w'.repeat(64), image, wall: { ...wall, vmm, observed } }))
      assert.ok(most.length < maxReceiptBytes, `${most.length} bytes`)
      assert.equal(verifyReceipt(most, keys).predicate.image?.layers, count)
    }
  })

  test('says nothing that nobody observed', () => {
    const bare: Facts = {
      ...facts,
      image: undefined,
      wall: undefined,
      enforced: undefined,
      startedMs: undefined,
      executed: false,
    }
    const { subject, predicate } = JSON.parse(statementOf(bare)) as Statement
    assert.deepEqual(Object.keys(predicate), ['run', 'verdict', 'worker'])
    assert.deepEqual(subject, [{ digest: { sha256: facts.specDigest }, name: 'spec' }])
    assert.equal(predicate.run.startedAt, undefined)
    const lost = JSON.parse(statementOf({ ...facts, enforced: undefined, executed: false })) as Statement
    assert.deepEqual(lost.predicate.limits, {})
  })

  test('is verified by whoever knows the standards: openssl, over the encoding that DSSE names', () => {
    const { payload, signatures } = JSON.parse(sealed.toString()) as Envelope
    const body = Buffer.from(payload, 'base64')
    const write = (name: string, data: Uint8Array | string) => {
      const path = join(folder, name)
      writeFileSync(path, data)
      return path
    }
    // Put together here once more, and not by the code under test.
    const encoded = Buffer.concat([Buffer.from(`DSSEv1 28 application/vnd.in-toto+json ${body.length} `), body])
    const pem = write('public.pem', key.publicKey)
    const sig = write('sig', Buffer.from(signatures[0]?.sig ?? '', 'base64'))
    const check = (name: string, data: Uint8Array) =>
      execFileSync('openssl', [
        ...['pkeyutl', '-verify', '-pubin', '-inkey', pem, '-rawin', '-in', write(name, data), '-sigfile', sig],
      ]).toString()
    assert.match(check('encoded', encoded), /Verified Successfully/)
    encoded[encoded.length - 2] = (encoded.at(-2) ?? 0) ^ 1
    assert.throws(() => check('tampered', encoded))
    assert.deepEqual(signedBytes('http://example.com/HelloWorld', Buffer.from('hello world')).toString(), dsseExample)
  })

  test('of another worker is known as such', () => {
    assert.equal(fault(sealed, readKeys(ReceiptKey.fresh().publicKey)), 'UNKNOWN_KEY')
    const others = [ReceiptKey.fresh(), key, ReceiptKey.fresh()].map(({ publicKey }) => publicKey).join('# and\n')
    assert.equal(fault(sealed, readKeys(others)), 'none')
    for (const text of ['', 'x', key.publicKey.replace('M', 'N')]) assert.throws(() => readKeys(text))
  })
})

/** From the specification's own test vector. */
const dsseExample = 'DSSEv1 29 http://example.com/HelloWorld 11 hello world'

describe('tampering', () => {
  const { payload, signatures } = JSON.parse(sealed.toString()) as Envelope
  const sig = signatures[0]?.sig ?? ''
  const body = Buffer.from(payload, 'base64')
  const make = (over: Partial<Envelope>) =>
    Buffer.from(JSON.stringify({ payload, payloadType, signatures: [{ keyid: key.id, sig }], ...over }))

  test('with any bit of payload or signature is caught', () => {
    assert.equal(fault(make({})), 'none')
    const flipped = (bytes: Buffer, bit: number) => {
      const copy = Buffer.from(bytes)
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      return copy.toString('base64')
    }
    const raw = Buffer.from(sig, 'base64')
    for (let bit = 0; bit < raw.length * 8; bit++)
      assert.equal(fault(make({ signatures: [{ keyid: key.id, sig: flipped(raw, bit) }] })), 'BAD_SIGNATURE', `bit ${bit}`)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: body.length * 8 - 1 }), (bit) => {
        assert.equal(fault(make({ payload: flipped(body, bit) })), 'BAD_SIGNATURE')
      }),
    )
  })

  test('with any fact of the statement is caught', () => {
    const statement = JSON.parse(body.toString()) as Statement
    const paths = leaves(statement)
    assert.ok(paths.length > 50)
    for (const path of paths) {
      const changed = JSON.stringify(withChange(statement, path))
      assert.equal(fault(make({ payload: Buffer.from(changed).toString('base64') })), 'BAD_SIGNATURE', path.join('.'))
    }
  })

  test('with type, key, number of signatures or the texts of the same bytes is caught', () => {
    const one = { keyid: key.id, sig }
    for (const [envelope, expected] of [
      [make({ payloadType: 'application/json' }), 'MALFORMED'],
      [make({ signatures: [{ keyid: `${key.id.slice(1)}0`, sig }] }), 'UNKNOWN_KEY'],
      [make({ signatures: [{ keyid: '', sig }] }), 'UNKNOWN_KEY'],
      [make({ signatures: [] }), 'MALFORMED'],
      [make({ signatures: [one, one] }), 'MALFORMED'],
      [make({ signatures: [{ keyid: key.id, sig: `${sig}\n` }] }), 'MALFORMED'],
      [make({ signatures: [{ keyid: key.id, sig: sig.slice(0, -4) }] }), 'MALFORMED'],
      [make({ payload: ` ${payload}` }), 'MALFORMED'],
      [make({ payload: `${payload.replaceAll('=', '')}!` }), 'MALFORMED'],
      [Buffer.alloc(maxReceiptBytes + 1, 0x20), 'MALFORMED'],
    ] as const)
      assert.equal(fault(envelope), expected, envelope.toString().slice(0, 80))
  })

  test('at any byte of the file leaves what it says, or is caught', () => {
    const text = unverifiedReceipt(sealed)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: sealed.length - 1 }), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const copy = Buffer.from(sealed)
        copy[at] = byte
        if (fault(copy) === 'none') assert.deepEqual(verifyReceipt(copy, keys), text)
      }),
      { numRuns: 1_000 },
    )
  })

  test('what is no receipt at all is told as such', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => assert.equal(fault(bytes), 'MALFORMED')))
    fc.assert(
      fc.property(fc.json(), (json) => {
        assert.equal(fault(Buffer.from(json)), 'MALFORMED')
      }),
    )
  })
})

type Path = (string | number)[]

function leaves(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, [...path, name]))
}

function withChange(value: unknown, [name, ...rest]: Path): unknown {
  if (name === undefined) return typeof value === 'number' ? value + 1 : `${value}x`
  const copy = structuredClone(value) as Record<string | number, unknown>
  copy[name] = withChange(copy[name], rest)
  return copy
}
