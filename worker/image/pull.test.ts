// When a registry is asked, and for whom: by policy, by credential, and by what is here already.
import assert from 'node:assert/strict'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { caisson } from '../../proto/messages.js'
import { sha256 } from './documents/digest.js'
import { assertRefused, layerTar, temporaryFolder } from './fixture.js'
import { Images } from './images.js'
import { defaultLayerLimits } from './layers/limits.js'
import { ScriptedLauncher } from './layers/scripted-launcher.js'
import { LayerStore } from './layers/store.js'
import { Ledger } from './ledger.js'
import { Credential } from './registry/credential.js'
import { Content, registriesOf, Scripted } from './registry/scripted.js'
import { ImageFolders } from './sources/folders.js'

const { Pull } = caisson.v1
const never = new AbortController().signal

async function world() {
  const launcher = await ScriptedLauncher.start()
  const served = { content: new Content([await layerTar('1')]), user: undefined as string | undefined }
  const registry = await Scripted.start((request, response) => {
    const expected = served.user && `Basic ${Buffer.from(`${served.user}:p`).toString('base64')}`
    if (!expected || request.headers.authorization === expected) return served.content.serve(request, response)
    return response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
  })
  const registries = registriesOf({ plainHttp: [registry.host] })
  const layers = new LayerStore({
    launcherPath: launcher.path,
    folder: launcher.store,
    limits: defaultLayerLimits,
    bytes: 1e9,
    parallel: 2,
    launcherMs: 20_000,
  })
  const folder = await temporaryFolder()
  const start = async () => new Images(await ImageFolders.open([]), layers, registries, await Ledger.open(folder.path))
  let images = await start()
  const text = `${registry.host}/a`
  const prepare = (pull?: caisson.v1.Pull, credential?: Credential) =>
    images.prepare(text, never, undefined, { ...(pull && { pull }), credential })
  /** What the registry was asked meanwhile. */
  const asked = async (work: () => Promise<unknown>) => {
    const from = registry.seen.length
    await work()
    return registry.seen.slice(from).map(({ method, url }) => `${method} ${url.split('/').at(-2)}`)
  }
  return {
    ...{ launcher, served, registry, folder, text, prepare, asked, list: () => images.inventory.list() },
    async startAgain() {
      images = await start()
    },
    async [Symbol.asyncDispose]() {
      await folder[Symbol.asyncDispose]()
      await registries.close()
      await registry[Symbol.asyncDispose]()
      await launcher[Symbol.asyncDispose]()
    },
  }
}

test('a tag that moves: IF_NOT_PRESENT stays, ALWAYS follows with one question, NEVER asks nothing', async () => {
  await using w = await world()
  await assertRefused(w.prepare(Pull.NEVER), /not on this worker, and spec.pull is NEVER/, 'IMAGE_NOT_PRESENT')
  assert.equal(w.registry.seen.length, 0)
  const first = await w.prepare()
  assert.equal(first.manifestDigest, w.served.content.digest)
  const old = w.served.content
  w.served.content = new Content([await layerTar('2')])
  assert.deepEqual(await w.asked(async () => assert.equal((await w.prepare()).layerKeys, first.layerKeys)), [])
  assert.deepEqual(await w.asked(async () => assert.equal((await w.prepare(Pull.NEVER)).layerKeys, first.layerKeys)), [])
  const followed = await w.asked(async () => assert.equal((await w.prepare(Pull.ALWAYS)).manifestDigest, w.served.content.digest))
  assert.deepEqual(followed, ['HEAD manifests', 'GET manifests', 'GET blobs', 'GET blobs'])
  assert.deepEqual(await w.asked(() => w.prepare(Pull.ALWAYS)), ['HEAD manifests'])
  // Back again: its layer is here still.
  w.served.content = old
  assert.deepEqual(await w.asked(() => w.prepare(Pull.ALWAYS)), ['HEAD manifests', 'GET manifests', 'GET blobs'])
  assert.equal((await w.prepare(Pull.NEVER)).manifestDigest, first.manifestDigest)
  assert.equal(w.launcher.asked.length, 2)
})

test('fifty at once are one pull; a layer that left the store is fetched again', async () => {
  await using w = await world()
  const all = await Promise.all(Array.from({ length: 50 }, () => w.prepare()))
  assert.equal(new Set(all.map(({ layerKeys }) => layerKeys)).size, 1)
  assert.equal(w.registry.seen.length, 3)
  assert.deepEqual(
    (await w.list()).map(({ references }) => references),
    [[`${w.text}:latest`]],
  )
  for (const name of await readdir(w.launcher.store)) await rm(join(w.launcher.store, name))
  await assertRefused(w.prepare(Pull.NEVER), /not on this worker/)
  assert.equal((await w.prepare()).manifestDigest, w.served.content.digest)
  const always = await w.asked(() => Promise.all(Array.from({ length: 50 }, () => w.prepare(Pull.ALWAYS))))
  assert.deepEqual(always, ['HEAD manifests'])
})

test('what was fetched with a credential is there for the same one, and for nobody else', async () => {
  await using w = await world()
  w.served.user = 'ann'
  await assertRefused(w.prepare(), /wants a user name/, 'IMAGE_UNAUTHORIZED')
  const ann = () => Credential.password('ann', 'p')
  const image = await w.prepare(undefined, ann())
  assert.equal((await w.prepare(Pull.NEVER, ann())).layerKeys, image.layerKeys)
  await assertRefused(w.prepare(Pull.NEVER), /not on this worker/, 'IMAGE_NOT_PRESENT')
  await assertRefused(w.prepare(), /wants a user name/, 'IMAGE_UNAUTHORIZED')
  await assertRefused(w.prepare(undefined, Credential.password('bob', 'p')), /answered 401/, 'IMAGE_UNAUTHORIZED')
  // Fetched by anybody, it is for everybody.
  w.served.user = undefined
  assert.notEqual((await w.prepare()).layerKeys, image.layerKeys)
  assert.equal((await w.prepare(Pull.NEVER, Credential.password('bob', 'p'))).manifestDigest, image.manifestDigest)
})

test('what is wrong with a layer is told with the image', async () => {
  await using w = await world()
  const digest = sha256(w.served.content.layers[0] as Buffer)
  w.served.content.blobs.set(digest, Buffer.alloc(10_000))
  const message = await assertRefused(w.prepare(), /longer than its descriptor/, 'IMAGE_DIGEST_MISMATCH')
  assert.ok(message.startsWith(`image ${w.text}:latest: blob ${digest}`))
})

test('a worker that was started again still has what it pulled, but not what needed a credential', async () => {
  await using w = await world()
  const first = await w.prepare()
  await w.startAgain()
  assert.deepEqual(
    await w.asked(async () => assert.equal(JSON.stringify(await w.prepare(Pull.NEVER)), JSON.stringify(first))),
    [],
  )
  await w.startAgain()
  assert.deepEqual(await w.asked(() => w.prepare(Pull.ALWAYS)), ['HEAD manifests'])
  for (const name of await readdir(w.folder.path)) await writeFile(join(w.folder.path, name), '{"version":1')
  await w.startAgain()
  await assertRefused(w.prepare(Pull.NEVER), /not on this worker/)
  w.served.user = 'ann'
  w.served.content = new Content([await layerTar('2')])
  const ann = Credential.password('ann', 'p')
  await w.prepare(Pull.ALWAYS, ann)
  await w.startAgain()
  await assertRefused(w.prepare(Pull.NEVER, ann), /not on this worker/)
  await assertRefused(w.prepare(Pull.NEVER), /not on this worker/)
})
