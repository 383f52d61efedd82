import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { caisson } from '../proto/messages.js'
import { Seal } from '../proto/seal.js'
import type { Credentials } from '../redis/credentials.js'
import { RunCredentials } from './credentials.js'
import { assertRefused } from './image/fixture.js'

const seal = new Seal(randomBytes(32))
const sealed = (credential: caisson.v1.IRegistryCredential) =>
  seal.close(caisson.v1.RegistryCredential.encode(credential).finish(), 'r1')

function of(stored: Buffer | 'none' | 'lost', image = 'alpine', own: Seal | undefined = seal) {
  const credentials = { of: async () => stored } as unknown as Credentials
  return new RunCredentials(credentials, own).of('r1', image)
}

test('as it was given', async () => {
  const basic = `Basic ${Buffer.from('u:p:q').toString('base64')}`
  assert.equal((await of(sealed({ username: 'u', password: 'p:q' })))?.basic, basic)
  assert.equal((await of(sealed({ identityToken: 't' })))?.refreshToken, 't')
  assert.equal(await of('none'), undefined)
  // Nobody is asked.
  assert.equal(await of('lost', 'oci:/images/a'), undefined)
})

test('one that is gone, or cannot be read, is not replaced by none', async () => {
  await assertRefused(of('lost'), /not kept any more/, 'IMAGE_CREDENTIAL_LOST')
  const given = sealed({ username: 'u', password: 'hush' })
  for (const other of [new Seal(randomBytes(32)), undefined]) {
    const credentials = { of: async () => given } as unknown as Credentials
    const work = new RunCredentials(credentials, other).of('r1', 'alpine')
    await assertRefused(work, /another key than this worker's/, 'IMAGE_CREDENTIAL_LOST')
  }
})
