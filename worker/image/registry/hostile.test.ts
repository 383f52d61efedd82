// Registries that lie, stall, lead astray or want what is not theirs.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sha256 } from '../documents/digest.js'
import { assertRefused, types } from '../fixture.js'
import { cases, secret, tar } from './hostileCases.js'
import { Content, type Handler, pull, registriesOf, Scripted } from './scripted.js'

for (const { name, reason, message, handler, flags, patience, content = new Content([tar]) } of cases) {
  test(`refused: ${name}`, async () => {
    let answer: Handler = () => {}
    await using registry = await Scripted.start((...args) => answer(...args))
    answer = handler(content, registry.host)
    const registries = registriesOf(flags?.(registry.host) ?? { plainHttp: [registry.host] }, patience)
    try {
      const pulling = pull(registries, `${registry.host}/a:latest`)
      const error = await pulling.then(
        () => assert.fail('not refused'),
        (error: unknown) => error as Error & { reason: string },
      )
      assert.equal(error.reason, reason, `${error.stack}`)
      assert.match(error.message, message)
      assert.match(error.message, /^(?:image 127\.0\.0\.1:\d+\/a:latest: |blob sha256:)/)
      assert.doesNotMatch(error.message, new RegExp(secret))
    } finally {
      await registries.close()
    }
  })
}

test('a manifest asked for by digest is that one', async () => {
  const content = new Content([tar])
  await using registry = await Scripted.start((_, response) => {
    response.setHeader('content-type', types.manifest)
    // Not believed either.
    response.setHeader('docker-content-digest', `sha256:${'a'.repeat(64)}`)
    response.end(content.documents.get('latest')?.bytes)
  })
  const registries = registriesOf({ plainHttp: [registry.host] })
  await assertRefused(
    pull(registries, `${registry.host}/a@sha256:${'a'.repeat(64)}`),
    /holds other bytes/,
    'IMAGE_DIGEST_MISMATCH',
  )
  await registries.close()
})

test('foreign layers are asked of the registry, wherever their urls lead', async () => {
  await using elsewhere = await Scripted.start((_, response) => response.end())
  const layer = {
    urls: [`http://${elsewhere.host}/layer`],
    mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  }
  const content = new Content([tar], { layer })
  await using registry = await Scripted.start(content.serve)
  const registries = registriesOf({ plainHttp: [registry.host, elsewhere.host] })
  assert.deepEqual(await pull(registries, `${registry.host}/a`), content.layers)
  content.blobs.delete(sha256(content.layers[0] as Buffer))
  await assertRefused(pull(registries, `${registry.host}/a`), /answered 404/, 'IMAGE_NOT_FOUND')
  assert.equal(elsewhere.seen.length, 0)
  await registries.close()
})

test('a registry at a private address is for those whom the operator told', async () => {
  const content = new Content([tar])
  await using registry = await Scripted.start(content.serve)
  const registries = registriesOf({})
  for (const host of [registry.host, registry.host.replace('127.0.0.1', 'localhost'), '169.254.169.254', '[::1]', '10.0.0.1']) {
    await assertRefused(pull(registries, `${host}/a`), /private address|no host|bad/, undefined)
  }
  assert.equal(registry.seen.length, 0)
  await registries.close()
})
