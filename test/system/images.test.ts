// Images in every form that is read, each made by tools that are not ours.

import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { busybox, images, python } from '../harness/images.js'
import { until } from '../harness/until.js'

const fixture = await Fixture.start()

const forms = {
  'an OCI layout': busybox,
  'an OCI layout with one image, no tag': `oci:${images}/busybox`,
  'an OCI archive': `oci-archive:${images}/archives/busybox.oci.tar:latest`,
  'a docker archive': `docker-archive:${images}/archives/busybox.docker.tar`,
  'layers compressed by zstd': `oci:${images}/archives/zstd:latest`,
}

for (const [name, image] of Object.entries(forms)) {
  test(name, { timeout: 60_000 }, async () => {
    const { verdict, stdout } = await run(fixture.caisson, { image, args: ['cat', '/etc/group'] })
    assert.equal(verdict.outcome, 'EXITED', verdict.message)
    assert.match(stdout.toString(), /audio:x:29:guest/)
  })
}

test('one layer in five forms is stored once', async () => {
  assert.equal((await layersInStore()).length, 1)
})

test('several layers, from a layout and from a docker archive: the same root', { timeout: 120_000 }, async () => {
  const args = ['sh', '-c', 'cat /etc/passwd | md5sum; ls -R /usr/bin /app /etc | md5sum; ls -d /etc/cron.daily 2>&1']
  const [a, b] = [python, `docker-archive:${images}/archives/python.docker.tar`].map((image) =>
    run(fixture.caisson, { image, entrypoint: [], args }),
  )
  const [one, other] = [await a, await b]
  assert.equal(one?.stdout.toString(), other?.stdout.toString())
  assert.match(one?.stdout.toString() ?? '', /No such file/)
  assert.equal((await layersInStore()).length, 4)
})

test('what the worker prepared is listed', { timeout: 30_000 }, async () => {
  await until('the image is listed', 10_000, async () =>
    (await fixture.caisson.images.list()).images.some(
      ({ references, layers, manifestDigest }) => references.includes(python) && layers === 3 && /^sha256:/.test(manifestDigest),
    ),
  )
})

test('twenty first runs of one image at once convert it once', { timeout: 120_000 }, async () => {
  const image = `docker-archive:${images}/archives/python.docker.tar`
  const finished = await Promise.all(
    Array.from({ length: 20 }, () =>
      run(fixture.caisson, { image, entrypoint: [], args: ['true'], limits: { cpuMillis: 50, memoryBytes: 16 << 20 } }),
    ),
  )
  for (const { verdict } of finished) assert.equal(verdict.outcome, 'EXITED', verdict.message)
  assert.equal((await layersInStore()).length, 4)
})

const layersInStore = () => readdir(join(fixture.instance.folder, 'state', 'layers', 'v1'))
