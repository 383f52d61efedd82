// The lister against the kernel: a file of a layer is overwritten when the overlay of that layer and those above shows something else.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Layout, named, tarOf } from '../../worker/image/fixture.js'
import { listLayers, TooManyFiles } from '../../worker/image/layers/listing.js'
import { Launcher } from './launcher.js'

let launcher: Launcher
const never = () => new AbortController().signal

before(async () => {
  launcher = await Launcher.start()
})
after(() => launcher[Symbol.asyncDispose]())

type Members = Parameters<typeof tarOf>[0]

/** Always the same sequence. */
function numbers(seed: number): (most: number) => number {
  let state = seed
  return (most) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 16) % most
  }
}

/** Files, folders (some opaque), whiteouts and hard links of few names, so that layers meet; every file's content is its own. */
function members(random: (most: number) => number, layer: number): Members {
  const made: Members = []
  const grow = (folder: string, depth: number) => {
    for (const name of ['a', 'b', 'c']) {
      const path = `${folder}${name}`
      const kind = random(8)
      if (kind < 3) made.push({ name: path, data: `${layer} ${path} `.repeat(1 + random(50)) })
      else if (kind < 6 && depth < 3) {
        made.push({ name: path, type: 'directory' })
        if (kind === 5) made.push({ name: `${path}/.wh..wh..opq` })
        grow(`${path}/`, depth + 1)
      } else if (kind === 6 && layer > 0) made.push({ name: `${folder}.wh.${name}` })
    }
    const last = made.at(-1)
    if (last?.data && random(2) === 0) made.push({ name: `${folder}linked`, type: 'link', linkname: last.name })
  }
  grow('', 0)
  return made
}

async function prepared(name: string, layers: Members[]): Promise<string[]> {
  const layout = await Layout.at(join(launcher.images, name))
  await layout.index([named(await layout.image(await Promise.all(layers.map(tarOf))), 'x')])
  return (await (await launcher.worker()).prepare(`oci:${layout.path}:x`, never())).layerKeys
}

const pathOf = (key: string) => join(launcher.store, `${key}.sqfs`)

const listFiles = (layers: string[], most: number, only: number | undefined, signal: AbortSignal) =>
  listLayers(launcher.socket, { layers, most, ...(only !== undefined && { only }) }, signal)

/** Content of every regular file below, by path. */
async function contents(root: string): Promise<Map<string, string>> {
  const names = execFileSync('find', [root, '-type', 'f', '-printf', '%P\\n'], { encoding: 'utf8' }).split('\n').filter(Boolean)
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(root, name), 'utf8')] as const)))
}

/** For each content of a layer: its names, and the lowest layer with which it is seen no more. */
async function seen(keys: string[], layer: number) {
  const own = await contents(await launcher.mount(keys.slice(layer, layer + 1)))
  const files = new Map<string, { names: Set<string>; overwrittenBy?: number }>()
  for (const [name, content] of own) {
    const file = files.get(content) ?? { names: new Set<string>() }
    file.names.add(name)
    files.set(content, file)
  }
  for (let top = layer + 1; top < keys.length; top++) {
    const merged = new Set((await contents(await launcher.mount(keys.slice(layer, top + 1)))).values())
    for (const [content, file] of files) if (!merged.has(content)) file.overwrittenBy ??= top
  }
  return files
}

for (const seed of [1, 2, 3]) {
  test(`files of random layers, as the kernel shows them (${seed})`, { timeout: 60_000 }, async () => {
    const random = numbers(seed)
    const keys = await prepared(
      `random-${seed}`,
      [0, 1, 2, 3].map((layer) => members(random, layer)),
    )
    const listings = await listFiles(keys, 100, undefined, never())
    assert.equal(listings.length, keys.length)
    for (const listing of listings) {
      const expected = await seen(keys, listing.layer)
      const lost = [...expected].filter(([, { overwrittenBy }]) => overwrittenBy !== undefined)
      const size = (files: [string, unknown][]) => files.reduce((sum, [content]) => sum + content.length, 0)
      const told = {
        files: listing.files,
        bytes: listing.bytes,
        lost: listing.overwrittenFiles,
        lostBytes: listing.overwrittenBytes,
      }
      assert.deepEqual(told, { files: expected.size, bytes: size([...expected]), lost: lost.length, lostBytes: size(lost) })
      for (const { path, bytes, overwrittenBy } of listing.largest) {
        const name = Buffer.from(path ?? []).toString()
        const [content, file] = [...expected].find(([, { names }]) => names.has(name)) ?? assert.fail(`no file ${name}`)
        assert.deepEqual([bytes, overwrittenBy ?? undefined], [content.length, file.overwrittenBy], name)
      }
      const sizes = listing.largest.map(({ bytes }) => bytes ?? 0)
      assert.deepEqual(
        sizes,
        [...sizes].sort((a, b) => b - a),
      )
      assert.equal(listing.overwritten.length, lost.length)
    }
  })
}

test('one layer of several, few of its files; the same as of all', async () => {
  const random = numbers(3)
  const keys = await prepared(
    'one',
    [0, 1, 2].map((layer) => members(random, layer)),
  )
  const [, second] = await listFiles(keys, 2, undefined, never())
  const [only, ...others] = await listFiles(keys, 2, 1, never())
  assert.deepEqual([only, others], [second, []])
  assert.equal(only?.largest.length, 2, 'the seed gives it more')
})

test('names of any kind, a deep folder, a long path', async () => {
  const deep = Array.from({ length: 200 }, (_, at) => `folder-${at}`)
  const folders = deep.map((_, at) => ({ name: deep.slice(0, at + 1).join('/'), type: 'directory' as const }))
  const odd = 'line\nbreak \u001b[31m'
  const keys = await prepared('odd', [[...folders, { name: `${deep.join('/')}/file`, data: 'deep' }, { name: odd, data: 'odd' }]])
  const [listing] = await listFiles(keys, 10, undefined, never())
  const [first, second] = (listing?.largest ?? []).map(({ path }) => Buffer.from(path ?? []).toString())
  assert.match(first ?? '', /^folder-0\/.*….*\/folder-199\/file$/)
  assert.ok(Buffer.byteLength(first ?? '') <= 1_024)
  assert.equal(second, odd)
})

test('what is no layer of ours is refused, and ends nobody but the lister', async () => {
  const bad = `sha256-${'bad0'.repeat(16)}`
  const [good] = await prepared('good', [[{ name: 'a', data: 'a'.repeat(10_000) }]])
  const bytes = await readFile(pathOf(good as string))
  await writeFile(pathOf(bad), Buffer.alloc(4_096, 7))
  await assert.rejects(listFiles([bad], 10, undefined, never()), /layer 0: no squashfs/)
  await writeFile(pathOf(bad), bytes)
  await truncate(pathOf(bad), 100)
  await assert.rejects(listFiles([good as string, bad], 10, undefined, never()), /layer 1: at byte/)
  // Every byte of its metadata wrong in turn: an answer or a refusal, never a hang or a crash.
  for (let at = 0; at < 96; at++) {
    const broken = Buffer.from(bytes)
    broken[at] = (broken[at] ?? 0) ^ 0xff
    await writeFile(pathOf(bad), broken)
    const outcome = await listFiles([bad], 10, undefined, never()).catch((error: Error) => error)
    if (outcome instanceof Error) assert.match(outcome.message, /^the lister: layer 0: /)
  }
})

test('more entries than are compared are refused by name', { timeout: 120_000 }, async () => {
  const many = Array.from({ length: 60_000 }, (_, at) => ({ name: `f${at}` }))
  const [key] = await prepared('many', [many])
  const copies = (count: number) => Array.from({ length: count }, () => key as string)
  assert.equal((await listFiles(copies(3), 1, undefined, never())).length, 3)
  await assert.rejects(listFiles(copies(70), 1, undefined, never()), TooManyFiles)
})

test('who does not want it any more ends it', async () => {
  const [key] = await prepared('left', [[{ name: 'a', data: 'a' }]])
  const stop = new AbortController()
  const listing = listFiles([key as string], 1, undefined, stop.signal)
  stop.abort()
  await assert.rejects(listing, { name: 'AbortError' })
})
