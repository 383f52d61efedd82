// A Redis elsewhere, as operators have it: behind TLS with a certificate of their own, a password, and a database that is not the first.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { freePort } from '../../client/up/port.js'
import { connect } from '../../redis/connect.js'
import { makeCertificates } from '../harness/certificates.js'
import { container, sh } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { cmdline } from '../harness/processes.js'
import { OwnRedis } from '../harness/redis.js'

const password = 'sesame-open-0123456789'
const database = 3

const folder = await mkdtemp(join(tmpdir(), 'caisson-t-redis-tls-'))
const certificates = await makeCertificates(folder)
const redis = new OwnRedis(folder, await freePort(), 'always', { certificates, password })
const url = `${redis.url}/${database}`

const { instance, caisson } = await Fixture.start({}, async () => {
  await redis.start()
  const undo = async () => {
    await redis.stop()
    await rm(folder, { recursive: true })
  }
  return { options: { args: ['--redis-ca', certificates.caFile], env: { CAISSON_REDIS: url } }, undo }
})

/** Larger than what one read of a connection brings. */
const bytes = 600_000

test('a run is submitted, watched while it writes, answered, and ended', { timeout: 60_000 }, async () => {
  const args = sh(`head -c ${bytes} /dev/zero; read word; echo "$word" >&2; exit 7`)
  const { runId } = await caisson.submit(container({ args, stdin: 'attach' }))
  const input = caisson.attach(runId)
  let seen = 0
  let said = ''
  for await (const event of caisson.watch(runId)) {
    if (event.type === 'verdict') assert.deepEqual([event.verdict.outcome, event.verdict.exitCode], ['EXITED', 7])
    if (event.type !== 'output') continue
    if (event.stream === 'stderr') said += event.data
    else seen += event.data.length
    // It waits for this word: so all that it wrote before was seen while it ran.
    if (event.stream !== 'stdout' || seen < bytes) continue
    await input.write(Buffer.from('well\n'))
    await input.end()
  }
  assert.deepEqual([seen, said], [bytes, 'well\n'])
})

test('all of it is in that database, and no process shows the password', async () => {
  const keys = async (db: number) => {
    const client = connect(`${redis.url}/${db}`, 'test', 'patient', certificates.ca)
    try {
      return await client.dbsize()
    } finally {
      client.disconnect()
    }
  }
  assert.ok((await keys(database)) > 0)
  assert.equal(await keys(0), 0)
  for (const part of ['control', 'worker'] as const) assert.doesNotMatch(await cmdline(await instance.pid(part)), /sesame/)
})

test('a Redis whose certificate others signed is not spoken to', { timeout: 30_000 }, async () => {
  const client = connect(url, 'test', 'failFast')
  const refused = await new Promise<NodeJS.ErrnoException>((resolve) => client.once('error', resolve))
  client.disconnect()
  assert.equal(refused.code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
})
