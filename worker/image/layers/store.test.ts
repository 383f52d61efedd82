import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { caisson } from '../../../proto/messages.js'
import { Failure } from '../../../proto/reason.js'
import { Deferred } from '../../deferred.js'
import { LauncherLost } from '../../sandbox/launcher.js'
import { chainIds } from '../documents/config.js'
import { sha256 } from '../documents/digest.js'
import { ImageError } from '../failure.js'
import { ConverterLost } from './channel.js'
import type { Layer } from './conversion.js'
import { emptyLayer } from './empty.js'
import { defaultLayerLimits } from './limits.js'
import { ended, ScriptedLauncher } from './scripted-launcher.js'
import { LayerStore } from './store.js'

const { Compression } = caisson.launch.v1
const never = new AbortController().signal
const silent = () => {}

const storeOf = ({ path, store }: ScriptedLauncher, limits = defaultLayerLimits) =>
  new LayerStore({ launcherPath: path, folder: store, limits, bytes: 1e9, parallel: 2, launcherMs: 20_000 })

/** An image of these blobs, in pieces; their DiffIDs are never looked at here. */
function layersOf(blobs: Buffer[], change: (layer: Layer) => Partial<Layer> = () => ({})): Layer[] {
  const diffIds = blobs.map((blob) => sha256(Buffer.from(`tar of ${sha256(blob)}`)))
  const chains = chainIds(diffIds)
  return blobs.map((bytes, index) => {
    const layer: Layer = {
      diffId: diffIds[index] as string,
      chainId: chains[index] as string,
      blob: { mediaType: '', digest: sha256(bytes), size: bytes.length },
      verifyBlob: true,
      async *open() {
        for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000)
      },
    }
    return { ...layer, ...change(layer) }
  })
}

const isImageError = (reason: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ImageError, `${error}`)
  assert.equal(error.reason, reason)
  assert.match(error.message, message)
  return true
}

test('layers are converted once, and told what they are compressed with', async () => {
  await using launcher = await ScriptedLauncher.start()
  const zstd = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0])
  const skippable = Buffer.from([0x51, 0x2a, 0x4d, 0x18, 0, 0, 0, 0])
  const blobs = [gzipSync('one'), Buffer.from('plain'), zstd, skippable, Buffer.alloc(300_000, 'x')]
  const layers = layersOf(blobs)
  const { keys } = await storeOf(launcher).ensure(layers, never, silent)
  assert.deepEqual(
    keys,
    layers.map(({ diffId }) => diffId.replace(':', '-')),
  )
  const asked = layers.map(({ diffId }) => launcher.asked.find((asked) => asked.diffId === diffId))
  const { GZIP, NONE, ZSTD } = Compression
  assert.deepEqual(
    asked.map((asked) => asked?.compression),
    [GZIP, NONE, ZSTD, ZSTD, NONE],
  )
  assert.deepEqual(
    asked.map((asked) => asked && sha256(asked.blob)),
    blobs.map(sha256),
  )
  await storeOf(launcher).ensure(layers, never, silent)
  assert.equal(launcher.asked.length, 5)
})

test('however many wait, and a layer that comes twice: one conversion each, two at a time', async () => {
  await using launcher = await ScriptedLauncher.start()
  let now = 0
  let most = 0
  const two = new Deferred<void>()
  launcher.script = async (_, channel) => {
    most = Math.max(most, ++now)
    if (now === 2) two.resolve()
    await ended(channel)
    await two.promise
    await sleep(20)
    now--
    return { converted: { entries: 1, uncompressedBytes: 1 } }
  }
  const store = storeOf(launcher)
  const layers = layersOf(['a', 'b', 'c', 'a'].map((text) => Buffer.from(text)))
  await Promise.all(Array.from({ length: 50 }, () => store.ensure(layers, new AbortController().signal, silent)))
  assert.equal(launcher.asked.length, 3)
  assert.equal(most, 2)
})

test('a layer that needs its lowers is completed from them; the bottom one from an empty layer', async () => {
  await using launcher = await ScriptedLauncher.start()
  const layers = layersOf(['a', 'b', 'c'].map((text) => Buffer.from(text)))
  const needy = [layers[0]?.diffId, layers[2]?.diffId]
  launcher.script = async (asked, channel) => {
    await ended(channel)
    return needy.includes(asked.diffId ?? '') && !asked.chainId
      ? { needsLowers: {} }
      : { converted: { entries: 1, uncompressedBytes: 1 } }
  }
  const store = storeOf(launcher)
  const chainKey = (index: number) => `chain-${layers[index]?.chainId.slice(7)}`
  const keys = [chainKey(0), layers[1]?.diffId.replace(':', '-'), chainKey(2)]
  assert.deepEqual((await store.ensure(layers, never, silent)).keys, keys)
  const completions = launcher.asked.filter(({ chainId }) => chainId).map(({ diffId, lowers }) => ({ diffId, lowers }))
  assert.deepEqual(completions, [
    { diffId: layers[0]?.diffId, lowers: [emptyLayer.diffId.replace(':', '-')] },
    { diffId: layers[2]?.diffId, lowers: keys.slice(0, 2) },
  ])
  assert.ok(
    launcher.asked.every(({ chainId, published, diffId }) => published === (Boolean(chainId) || !needy.includes(diffId ?? ''))),
  )
  // Another image, in which it lies on something else: not tried in vain again, nor taken from the first.
  const [, , c] = layers as [Layer, Layer, Layer]
  await store.ensure([{ ...c, chainId: chainIds([c.diffId])[0] as string }], never, silent)
  assert.equal(launcher.asked.length, 7)
  assert.deepEqual((await storeOf(launcher).ensure(layers, never, silent)).keys, keys)
  assert.equal(launcher.asked.length, 7)
})

const wrong: [string, (layer: Layer) => Partial<Layer>, RegExp][] = [
  [
    'other bytes',
    ({ blob }) => ({ blob: { ...blob, digest: sha256(Buffer.from('other')) } }),
    /blob sha256:\w{64} holds other bytes/,
  ],
  [
    'more bytes than said',
    ({ blob }) => ({ blob: { ...blob, size: 1500 } }),
    /is longer than its descriptor says \(1500 bytes\)/,
  ],
  ['fewer bytes than said', ({ blob }) => ({ blob: { ...blob, size: 9000 } }), /has 5000 bytes where its descriptor says 9000/],
]
for (const [what, change, message] of wrong) {
  test(`a blob with ${what} is never published`, async () => {
    await using launcher = await ScriptedLauncher.start()
    await assert.rejects(
      storeOf(launcher).ensure(layersOf([Buffer.alloc(5000)], change), never, silent),
      isImageError('IMAGE_DIGEST_MISMATCH', message),
    )
    await launcher.asked[0]?.closed
    assert.equal(launcher.asked[0]?.published, false)
  })
}

test('a layer larger than the limit is refused before anything is asked', async () => {
  await using launcher = await ScriptedLauncher.start()
  const store = storeOf(launcher, { bytes: 100, entries: 10 })
  await assert.rejects(
    store.ensure(layersOf([Buffer.alloc(101)]), never, silent),
    isImageError('IMAGE_TOO_LARGE', /101 bytes compressed: .* at most 100/),
  )
  assert.equal(launcher.asked.length, 0)
})

test("what the converter refuses is the image's fault, also long before the blob is in", async () => {
  await using launcher = await ScriptedLauncher.start()
  launcher.script = async () => ({ refused: { reason: 'LAYER_TOO_LARGE', message: 'more than 8 bytes' } })
  const layers = layersOf([Buffer.alloc(20_000_000)])
  await assert.rejects(
    storeOf(launcher).ensure(layers, never, silent),
    isImageError('IMAGE_TOO_LARGE', /layer sha256:\w{64}: more than 8 bytes/),
  )
  assert.ok((launcher.asked[0]?.blob.length ?? 0) < 20_000_000)
  assert.equal(launcher.asked[0]?.published, false)
})

test('a converter that dies, or answers nonsense, and a launcher that dies, are ours', async () => {
  await using launcher = await ScriptedLauncher.start()
  const fails = (message: RegExp, type: new (...args: never[]) => Error) =>
    assert.rejects(storeOf(launcher).ensure(layersOf([Buffer.alloc(5_000_000)]), never, silent), (error: unknown) => {
      assert.ok(error instanceof type && !(error instanceof ImageError), `${error}`)
      assert.match(error.message, message)
      return true
    })
  launcher.script = async () => undefined
  await fails(/converter/, ConverterLost)
  launcher.script = async () => ({ refused: { reason: 'LAUNCH_THE_MISSILES', message: '' } })
  await fails(/out of turn: LAUNCH/, Error)
  launcher.script = async () => ({})
  await fails(/out of turn: nothing/, Error)
  launcher.script = async (_, channel) => {
    await ended(channel)
    launcher.die()
    return undefined
  }
  await fails(/launcher|converter/, Error)
  launcher.script = async () => ({ refused: { reason: 'LAYER_STORE_FULL', message: 'output: no space left' } })
  await fails(/no space left/, Failure)
  await using gone = await ScriptedLauncher.start()
  const store = storeOf(gone)
  await gone[Symbol.asyncDispose]()
  await assert.rejects(store.ensure(layersOf([Buffer.from('a')]), never, silent), LauncherLost)
})

test('one who leaves does not stop the others; the last one does', async () => {
  await using launcher = await ScriptedLauncher.start()
  const release = new AbortController()
  launcher.script = async (_, channel) => {
    await ended(channel)
    await sleep(60_000, undefined, { signal: release.signal }).catch(() => {})
    return { converted: { entries: 1, uncompressedBytes: 1 } }
  }
  const store = storeOf(launcher)
  const layers = layersOf([Buffer.from('a')])
  const [first, second] = [new AbortController(), new AbortController()]
  const left = store.ensure(layers, first.signal, silent)
  const stayed = store.ensure(layers, second.signal, silent)
  while (launcher.asked.length === 0) await sleep(5)
  // The second looks at the disk before it joins, which nobody sees.
  await sleep(500)
  first.abort(new Error('left'))
  await assert.rejects(left, /left/)
  release.abort()
  await stayed
  assert.equal(launcher.asked.length, 1)

  launcher.script = async () => new Promise(() => {})
  const alone = new AbortController()
  const other = store.ensure(layersOf([Buffer.from('b')]), alone.signal, silent)
  while (launcher.asked.length === 1) await sleep(5)
  alone.abort(new Error('gone'))
  await assert.rejects(other, /gone/)
  await launcher.asked[1]?.closed
})

test('one bad layer stops the others of its image', async () => {
  await using launcher = await ScriptedLauncher.start()
  const layers = layersOf(['a', 'b', 'c'].map((text) => Buffer.from(text)))
  // Whichever comes second: which two of them get the slots is chance, and the third waits for one.
  launcher.script = async (asked) =>
    asked === launcher.asked[1] ? { refused: { reason: 'LAYER_BAD_ENTRY', message: 'x' } } : new Promise(() => {})
  await assert.rejects(storeOf(launcher).ensure(layers, never, silent), isImageError('IMAGE_MALFORMED', /: x$/))
  assert.ok(launcher.asked.length <= 2)
  await Promise.all(launcher.asked.map(({ closed }) => closed))
})

test('progress names the layer and ends at its size', async () => {
  await using launcher = await ScriptedLauncher.start()
  const seen: caisson.v1.IProgress[] = []
  const layers = layersOf([Buffer.alloc(100_000)])
  await storeOf(launcher).ensure(layers, never, (progress) => seen.push(progress))
  assert.deepEqual(seen.at(-1), { what: 'layer', digest: layers[0]?.diffId, doneBytes: 100_000, totalBytes: 100_000 })
  assert.ok(seen.length < 10)
})
