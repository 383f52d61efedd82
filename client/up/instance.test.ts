import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { expectOpenWay } from './instance.js'

test('a state folder that its users cannot reach is refused by the folder on the way', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'caisson-instance-'))
  const state = join(folder, 'not/yet/there')
  await assert.rejects(expectOpenWay(state), { message: new RegExp(`^--state ${state}: only the owner of ${folder} may enter`) })
  await chmod(folder, 0o711)
  await expectOpenWay(state)
  await rm(folder, { recursive: true })
})
