// What a receipt says is so, by what the host shows and what the program itself sees; and it is verified without our code.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism, release } from 'node:os'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import type { Worker } from '../../client/sdk/model.js'
import { findInstallation } from '../../client/up/installation.js'
import type { ReceiptWall, Statement } from '../../proto/receipt.js'
import { begun, container, describeVerdict, type Finished, finish, run, sh } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { guest } from '../harness/images.js'
import { command } from '../harness/instance.js'
import { digestOf } from '../harness/layout.js'
import { machineOffer, noMachine } from '../harness/offers.js'

const fixture = await Fixture.start({ args: ['--allow-emulation'] })
const { caisson, instance } = fixture
const installation = findInstallation()
const fileDigest = (...path: string[]) => digestOf(readFileSync(join(...path)))
const mebibyte = 1 << 20

function tool(args: string[], input?: string | Buffer): { code: number | null; stdout: string; stderr: string } {
  const all = [command, 'receipt', ...args, '--address', instance.address]
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { input: input ?? '', encoding: 'utf8' })
  return { code: status, stdout, stderr }
}

let worker: Worker
let keyFile: string
before(async () => {
  worker = (await caisson.workers())[0] as Worker
  keyFile = join(instance.folder, 'key.pem')
  writeFileSync(keyFile, worker.receiptKey)
})

async function statementOf({ runId }: Finished): Promise<Statement> {
  const { code, stdout, stderr } = tool(
    ['verify', '-', '--key', keyFile, '--run', runId, '--compare', '--json'],
    await caisson.receipt(runId),
  )
  assert.equal(code, 0, stderr + stdout)
  const { verified, statement } = JSON.parse(stdout)
  assert.equal(verified, true)
  return statement
}

/** Its walls were made of these programs, on this kernel. */
function expectWall(wall: ReceiptWall): void {
  assert.equal(wall.launcher, fileDigest(installation.launcher))
  assert.equal(wall.agent, fileDigest(installation.agent))
  assert.equal(wall.kernel, release())
  assert.equal(wall.seccomp.program, fileDigest(installation.folder, 'guest/agent/seccomp.json'))
  assert.deepEqual(Object.keys(wall.namespaces), ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'])
  assert.equal(wall.uids.count, 65_536)
  assert.equal(
    wall.label !== undefined,
    existsSync('/sys/fs/selinux/enforce') || existsSync('/sys/module/apparmor/parameters/enabled'),
  )
}

describe('a container', () => {
  const limits = { memoryBytes: 64 * mebibyte, pids: 20, diskBytes: 32 * mebibyte, cpuMillis: 500, openFiles: 99 }

  test('its receipt agrees with the host, with the program, and with the record', { timeout: 60_000 }, async () => {
    const script = 'for kind in net ipc uts user; do readlink /proc/self/ns/$kind; done; cat /proc/self/uid_map; exit 7'
    const finished = await run(caisson, { args: sh(script), limits, env: { Z: '1', A: '2' } })
    const { predicate } = await statementOf(finished)
    const wall = predicate.wall as ReceiptWall
    expectWall(wall)
    assert.equal(wall.backend, 'container')
    const lines = finished.stdout.toString().trim().split('\n')
    const kinds = ['net', 'ipc', 'uts', 'user'].map((kind) => `${kind}:[${wall.namespaces[kind]}]`)
    assert.deepEqual(lines.slice(0, 4), kinds)
    assert.deepEqual(lines[4]?.trim().split(/\s+/).map(Number), [0, wall.uids.first, wall.uids.count])
    const { cpuMillis, memoryBytes, pids, diskBytes, outputBytes, wallMs, diskInodes } = predicate.limits?.host ?? {}
    assert.deepEqual(
      { cpuMillis, memoryBytes, pids, diskBytes },
      {
        cpuMillis: 500,
        memoryBytes: limits.memoryBytes,
        pids: 20,
        diskBytes: limits.diskBytes,
      },
    )
    assert.deepEqual([outputBytes, wallMs, predicate.limits?.agent], [16 * mebibyte, 60_000, { openFiles: 99 }])
    assert.ok(diskInodes && diskInodes > 4000 && diskInodes <= 8192, String(diskInodes))
    assert.deepEqual(predicate.verdict, { outcome: 'EXITED', reason: 'EXITED', effect: 'COMPLETED', exitCode: 7 })
    assert.equal(predicate.worker.id, worker.workerId)
    assert.equal(predicate.image?.manifest, (await caisson.get(finished.runId)).imageDigest)
    const { layers } = await caisson.images.get(container({}).image)
    assert.deepEqual(
      predicate.image?.diffIds,
      layers.map(({ diffId }) => diffId),
    )
  })

  test('two runs share no namespace and no ids', { timeout: 60_000 }, async () => {
    const ends = await Promise.all([1, 2].map(() => begun(caisson, {})))
    const both = await Promise.all(ends.map((end) => end()))
    const [one, other] = (await Promise.all(both.map(statementOf))).map(({ predicate }) => predicate.wall as ReceiptWall)
    for (const [kind, inode] of Object.entries(one?.namespaces ?? {})) assert.notEqual(inode, other?.namespaces[kind], kind)
    assert.notEqual(one?.uids.first, other?.uids.first)
  })

  test('the host saw what its limits did, and how long it had to wait', { timeout: 60_000 }, async () => {
    const spinners = `for i in $(seq ${availableParallelism() + 1}); do (while :; do :; done) & done; sleep 0.3`
    const [hungry, busy] = await Promise.all([
      run(caisson, { args: sh('tail /dev/zero'), limits: { memoryBytes: 16 * mebibyte } }),
      run(caisson, { args: sh(spinners), limits: { cpuMillis: availableParallelism() * 1000 } }),
    ])
    assert.equal(hungry.verdict.outcome, 'OOM_KILLED')
    // Not every kernel counts them in cgroup v1: then nothing is said.
    assert.notEqual(hungry.verdict.observed.memoryLimitHits, 0, describeVerdict(hungry))
    const { pressure } = busy.verdict.observed
    assert.equal(pressure !== undefined, hostKeepsPressure(), describeVerdict(busy))
    if (pressure) assert.ok((pressure.cpu?.someUs ?? 0) > 10_000, describeVerdict(busy))
  })

  test('one that never had a sandbox has a receipt that says so', { timeout: 60_000 }, async () => {
    const finished = await run(caisson, { image: 'oci:/nowhere/at/all' })
    assert.equal(finished.verdict.outcome, 'IMAGE_ERROR')
    const { predicate, subject } = await statementOf(finished)
    assert.deepEqual(Object.keys(predicate).sort(), ['run', 'verdict', 'worker'])
    assert.deepEqual(
      subject.map(({ name }) => name),
      ['spec'],
    )
  })
})

/** In the tree of cgroup v2, with controllers or without. */
const hostKeepsPressure = () =>
  ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].some((tree) => existsSync(join(tree, 'cpu.pressure')))

test('a microVM: also what booted it, and what it booted', { timeout: 120_000 }, async (t) => {
  const missing = await noMachine(caisson)
  if (missing) return t.skip(missing)
  const offer = await machineOffer(caisson)
  const limits = { memoryBytes: 64 * mebibyte, pids: 20, diskBytes: 32 * mebibyte }
  const finished = await finish(caisson.run({ ...container({ args: ['true'], limits }), isolation: 'MICROVM_REQUIRED' }))
  const { predicate } = await statementOf(finished)
  const wall = predicate.wall as ReceiptWall
  expectWall(wall)
  assert.equal(wall.backend, 'microvm')
  assert.deepEqual([wall.vmm?.name, wall.vmm?.accelerator], [offer?.vmm, offer?.accelerator])
  assert.match(wall.vmm?.version ?? '', /^\d+\.\d+\.\d+/)
  assert.equal(wall.vmm?.program, fileDigest(guest, 'vmm/usr/bin/qemu-system-x86_64'))
  assert.equal(wall.guest?.kernel, fileDigest(guest, 'kernel'))
  assert.equal(wall.seccomp.vmm, fileDigest(installation.folder, 'native/launcher/vmm.seccomp.json'))
  const { memoryBytes = 0, cpuMs, diskInodes } = predicate.limits?.host ?? {}
  assert.ok(memoryBytes > limits.memoryBytes && cpuMs === 60_000 && diskInodes === undefined)
  assert.deepEqual(predicate.limits?.agent, { ...limits, openFiles: 1024 })
  assert.equal(finished.verdict.observed.diskFull, undefined)
})

describe('the key', () => {
  test("is the ordinary user's alone, outlasts the worker, and openssl verifies what it signed", {
    timeout: 90_000,
  }, async () => {
    const { runId } = await run(caisson, { args: ['true'] })
    const path = join(instance.folder, 'state/worker/receipt-key.pem')
    const { uid, mode } = statSync(path)
    assert.ok(uid !== 0 && (mode & 0o777) === 0o600)
    await instance.killAndAwaitRestart('worker')
    await instance.ready()
    const printed = tool(['keys']).stdout
    assert.ok(printed.includes(worker.receiptKey), printed)
    assert.deepEqual([...new Set((await caisson.workers()).map(({ receiptKey }) => receiptKey))], [worker.receiptKey])
    const { payload, payloadType, signatures } = JSON.parse(tool(['show', runId, '--json']).stdout)
    const body = Buffer.from(payload, 'base64')
    const files = {
      signed: Buffer.concat([Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${body.length} `), body]),
      sig: Buffer.from(signatures[0].sig, 'base64'),
    }
    for (const [name, data] of Object.entries(files)) writeFileSync(join(instance.folder, name), data)
    const at = (name: string) => join(instance.folder, name)
    const args = ['pkeyutl', '-verify', '-pubin', '-inkey', keyFile, '-rawin', '-in', at('signed'), '-sigfile', at('sig')]
    assert.match(execFileSync('openssl', args).toString(), /Verified Successfully/)
  })

  test('verify tells by its exit code what is wrong', { timeout: 90_000 }, async () => {
    const { runId } = await run(caisson, { args: ['true'] })
    const receipt = await caisson.receipt(runId)
    const other = join(instance.folder, 'other.pem')
    execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', `${other}.key`])
    execFileSync('openssl', ['pkey', '-in', `${other}.key`, '-pubout', '-out', other])
    const tampered = receipt.toString().replace(/"sig":"(.)/, (_, first) => `"sig":"${first === 'A' ? 'B' : 'A'}`)
    const verify = (input: string | Buffer, ...more: string[]) => tool(['verify', '-', '--json', '--key', ...more], input)
    for (const [result, code, fault] of [
      [verify(receipt, keyFile), 0, undefined],
      [verify(receipt, other, keyFile), 0, undefined],
      [verify(tampered, keyFile), 1, 'BAD_SIGNATURE'],
      [verify('{}', keyFile), 1, 'MALFORMED'],
      [verify(receipt, other), 2, 'UNKNOWN_KEY'],
      [verify(receipt, keyFile, '--run', 'r0000000000000000000000000'), 3, 'DISAGREES'],
      [verify(receipt, join(instance.folder, 'none.pem')), 125, undefined],
    ] as const) {
      assert.equal(result.code, code, result.stdout + result.stderr)
      if (code !== 125) assert.equal(JSON.parse(result.stdout).fault, fault)
    }
    assert.match(tool(['show', runId]).stdout, /wall backend +container\n/)
  })
})
