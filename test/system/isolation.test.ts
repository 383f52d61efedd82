// Which wall a run gets: what it asks, against what the worker can boot and the operator allows. On a machine whose KVM boots guests, the
// cases without it are skipped.

import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Caisson } from '../../client/sdk/caisson.js'
import { CaissonError } from '../../client/sdk/error.js'
import type { Isolation, RunSpec } from '../../client/sdk/model.js'
import { finish } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { busybox, guest } from '../harness/images.js'
import { machineOffer } from '../harness/offers.js'

const nowhere = '/nonexistent/guest'
const allowing = await Fixture.start({ args: ['--allow-emulation', '--machine-memory-bytes', '1'] })
const strict = await Fixture.start()
const without = await Fixture.start({ args: ['--allow-emulation', '--guest', nowhere] })
const broken = await Fixture.start({}, brokenGuest)

const spec = (isolation: Isolation): RunSpec => ({ image: busybox, args: ['true'], isolation })
const [emulated, refused, missing] = await Promise.all([allowing, strict, without].map(({ caisson }) => machineOffer(caisson)))
const hasKvm = emulated?.accelerator === 'kvm'

async function placementOf(caisson: Caisson, isolation: Isolation) {
  const { events, verdict } = await finish(caisson.run(spec(isolation)))
  assert.equal(verdict.outcome, 'EXITED', JSON.stringify(verdict))
  const states = events.flatMap((event) => (event.type === 'state' ? [event] : []))
  return { placement: states.findLast(({ placement }) => placement)?.placement, message: states[0]?.message ?? '' }
}

async function expectRefused(caisson: Caisson, why: RegExp): Promise<void> {
  await assert.rejects(caisson.submit(spec('MICROVM_REQUIRED')), (error) => {
    assert.ok(error instanceof CaissonError)
    assert.deepEqual([error.code, error.reason], ['FAILED_PRECONDITION', 'NO_WORKER'])
    assert.match(error.message, why)
    return true
  })
  const { runId } = await caisson.submit({ ...spec('MICROVM_REQUIRED'), waitForWorker: true })
  assert.equal((await caisson.get(runId)).state, 'QUEUED')
  await caisson.cancel(runId)
}

async function expectContainer(caisson: Caisson, why: RegExp): Promise<void> {
  const { placement, message } = await placementOf(caisson, 'MICROVM_PREFERRED')
  assert.equal(placement?.backend, 'container')
  assert.match(message, why)
}

test('emulation allowed: required runs in it, and the record says so', { timeout: 60_000, skip: hasKvm }, async () => {
  assert.deepEqual([emulated?.accelerator, emulated?.counts], ['tcg', false])
  const { placement } = await placementOf(allowing.caisson, 'MICROVM_REQUIRED')
  assert.deepEqual([placement?.backend, placement?.vmm, placement?.accelerator], ['microvm', 'qemu', 'tcg'])
})

test('emulation allowed: preferred is a container all the same', { skip: hasKvm }, () =>
  expectContainer(allowing.caisson, /emulated, which is no wall/),
)

test('emulation not allowed: required is refused or waits, preferred is a container', { skip: hasKvm }, async () => {
  assert.match(refused?.unavailable ?? '', /KVM: .*--allow-emulation/)
  await expectRefused(strict.caisson, /--allow-emulation/)
  await expectContainer(strict.caisson, /--allow-emulation/)
})

test('no QEMU and no kernel: both say what is missing', async () => {
  assert.match(missing?.unavailable ?? '', /nonexistent/)
  await expectRefused(without.caisson, /nonexistent.*scripts\/setup/)
  await expectContainer(without.caisson, /nonexistent/)
})

test('a guest that gives up: what is offered instead says so', { timeout: 60_000 }, async () => {
  const offer = await machineOffer(broken.caisson)
  assert.match(offer?.unavailable ?? '', /VMM ended without a word: .*its guest gave up/)
})

test('no room for the usual template: the offer says so', { skip: hasKvm }, async () => {
  assert.match((await machineOffer(allowing.caisson))?.limitation ?? '', /^--machine-memory-bytes has no room/)
})

test('more memory than a machine can have here is refused when it is asked for, though a container gets it', async () => {
  const { caisson } = allowing
  const most = (await machineOffer(caisson))?.memoryBytes ?? 0
  const asking = (isolation: Isolation, memoryBytes: number) => caisson.submit({ ...spec(isolation), limits: { memoryBytes } })
  await assert.rejects(asking('MICROVM_REQUIRED', most + 1), (error) => {
    assert.ok(error instanceof CaissonError)
    assert.deepEqual(error.violations, [
      { field: 'spec.limits.memory_bytes', description: `is ${most + 1}, no living worker gives more than ${most}` },
    ])
    return true
  })
  for (const isolation of ['MICROVM_REQUIRED', 'CONTAINER'] as const) {
    const { runId } = await asking(isolation, isolation === 'CONTAINER' ? most + 1 : most)
    await caisson.cancel(runId)
  }
})

test('a container is a container wherever', async () => {
  const { placement } = await placementOf(allowing.caisson, 'CONTAINER')
  assert.equal(placement?.backend, 'container')
})

/** Its first program is none. */
async function brokenGuest() {
  const folder = await mkdtemp(join(tmpdir(), 'caisson-broken-'))
  for (const name of await readdir(guest)) await symlink(join(guest, name), join(folder, name))
  await writeFile(join(folder, 'agent'), 'no program')
  await chmod(folder, 0o755)
  const undo = () => rm(folder, { recursive: true })
  return { options: { args: ['--allow-emulation', '--guest', folder] }, undo }
}
