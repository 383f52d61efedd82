// A store whose disk is filled to the last byte: the run that needs room gets IMAGE_ERROR, the others do not notice.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { begun, describeVerdict, run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { imageOf, Store } from '../harness/store.js'

const mib = 1 << 20
const diskBytes = 24 * mib
const state = join(tmpdir(), `caisson-full-${randomUUID()}`)
const disk = join(state, 'layers/v1')

const fixture = await Fixture.start({}, async () => {
  await mkdir(disk, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'caisson-full', disk])
  const undo = async () => {
    execFileSync('umount', [disk])
    await rm(state, { recursive: true })
  }
  return { options: { args: ['--state', state] }, undo }
})
const { instance, caisson } = fixture
const folder = join(instance.folder, 'images')
const store = new Store(state, instance)

const runs = async (image: string) => {
  const finished = await run(caisson, { image, args: ['true'] })
  assert.equal(finished.verdict.outcome, 'EXITED', describeVerdict(finished))
}

async function fill(path: string): Promise<void> {
  const file = await open(path, 'w')
  const chunk = Buffer.alloc(4096)
  try {
    for (;;) await file.write(chunk)
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
  } finally {
    await file.close()
  }
}

test('a full disk is the matter of the run that needs room, and of nobody else', { timeout: 120_000 }, async () => {
  const [small, large] = [await imageOf(folder, [mib]), await imageOf(folder, [6 * mib])]
  await runs(small)
  const end = await begun(caisson, { image: small })
  const filler = join(disk, 'filler')
  await fill(filler)
  const { verdict } = await run(caisson, { image: large, args: ['true'] })
  assert.equal(`${verdict.outcome} ${verdict.reason} ${verdict.effect}`, 'IMAGE_ERROR STORE_FULL NEVER_STARTED', verdict.message)
  await runs(small)
  const finished = await end()
  assert.equal(finished.verdict.outcome, 'EXITED', describeVerdict(finished))
  await rm(filler)
  await runs(large)
  await store.expectSound()
})

test('layers that nobody uses give way before anybody is told', { timeout: 120_000 }, async () => {
  await store.upkeep.removeUnused()
  for (let count = 0; count < 4; count++) await runs(await imageOf(folder, [7 * mib]))
  assert.ok((await store.bytes()) < diskBytes)
  await store.expectSound()
})
