// Images deeper than a sandbox takes: their oldest layers are folded, and the program sees the same tree behind either wall.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { RunSpec } from '../../client/sdk/model.js'
import { describeVerdict, finish } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { type Entry, type Layer, Layout, layerOf, shellLayer, tar } from '../harness/layout.js'
import { noMachine } from '../harness/offers.js'

const fixture = await Fixture.start({ args: ['--allow-emulation'] })
const { folder } = fixture.instance
const layout = await Layout.create(join(folder, 'images', 'deep'))

/** Adds, changes, hides and links something of the layers below; some need those to be understood. */
function deepLayer(n: number): Entry[] {
  const mtime = new Date(1e12 + n * 1000)
  const directory = (name: string): Entry => ({ name: `${name}/`, type: 'directory', mode: 0o755, mtime })
  const file = (name: string, content: string, mode = 0o644): Entry => ({ name, content, mode, mtime })
  return [
    directory('.'),
    directory('d'),
    directory('o'),
    file(`d/f${n}`, `${n}`),
    file('changed', `by ${n}`, n % 2 ? 0o600 : 0o4755),
    ...(n % 3 === 1 ? [file(`d/.wh.f${n - 1}`, '')] : []),
    ...(n % 10 === 5 && n % 3 !== 1 ? [{ name: `hard${n}`, type: 'link', linkname: `d/f${n - 1}` } as const] : []),
    ...(n % 40 === 30 ? [file('o/.wh..wh..opq', '')] : []),
    file(`o/${n}`, 'o'),
    // Its folder is in the lowest layer that has it, and nowhere else described.
    ...(n % 50 === 1 ? [directory('few')] : n % 50 === 2 ? [file(`few/${n}`, 'x')] : []),
  ]
}

const layers: Layer[] = [await shellLayer()]
for (let n = 1; n < 600; n++) layers.push(layerOf(await tar(deepLayer(n)), 'none'))
const counts = [40, 200, 201, 600]
const images = counts.map(async (count) => [`n${count}`, await layout.image(layers.slice(0, count))] as const)
await layout.index(Object.fromEntries(await Promise.all(images)))

/** Of every name what stat says, of files their contents; not of what sandboxes make themselves, nor the size of a folder. */
const list = `
  bb=/bin/busybox
  named() { $bb find . -path ./proc -prune -o -path ./sys -prune -o -path ./dev -prune -o -path ./etc -prune -o "$@" -print | $bb sort; }
  named -type d | $bb grep -vx . | $bb xargs $bb stat -c '%n %f %u %g %Y'
  named ! -type d | $bb xargs $bb stat -c '%n %f %h %u %g %s %Y %N'
  named -type f | $bb xargs $bb sha256sum`

function unpack(count: number): string {
  const bundle = join(folder, `bundle-${count}`)
  execFileSync('umoci', ['raw', 'unpack', '--image', `${layout.path}:n${count}`, bundle])
  return execFileSync('/bin/busybox', ['sh', '-c', list], { cwd: bundle, encoding: 'utf8' })
}

async function shown(count: number, isolation: NonNullable<RunSpec['isolation']>): Promise<string> {
  const image = `oci:${layout.path}:n${count}`
  const spec = { image, isolation, args: ['/bin/busybox', 'sh', '-c', list] }
  const finished = await finish(fixture.caisson.run(spec))
  assert.equal(finished.verdict.outcome, 'EXITED', describeVerdict(finished))
  return finished.stdout.toString()
}

/** Says only what differs. */
function expectSame(count: number, seen: string): void {
  const [ours, theirs] = [seen.split('\n'), unpacked.get(count)?.split('\n') ?? []]
  const without = (lines: string[], others: string[]) => lines.filter((line) => !new Set(others).has(line))
  assert.deepEqual({ ours: without(ours, theirs), theirs: without(theirs, ours) }, { ours: [], theirs: [] }, `${count} layers`)
}

const stored = async (form: string) =>
  (await readdir(join(folder, 'state/layers/v1'))).filter((name) => name.startsWith(form)).length

const skip = await noMachine(fixture.caisson)
const unpacked = new Map(counts.map((count) => [count, unpack(count)]))

test('40, 200, 201 and 600 layers in a container', { timeout: 120_000 }, async () => {
  for (const count of counts) expectSame(count, await shown(count, 'CONTAINER'))
  assert.equal(await stored('fold-'), 1)
})

test('and in a microVM, which shares folded layers with other images', { timeout: 240_000, skip }, async () => {
  for (const count of counts) expectSame(count, await shown(count, 'MICROVM_REQUIRED'))
  // 200 and 201 layers have one folded layer in common; 600 have one of their own for each wall.
  assert.equal(await stored('fold-'), 3)
})

test('a deep image that was folded is not folded again', { timeout: 60_000 }, async () => {
  const files = await readdir(join(folder, 'state/layers/v1'))
  expectSame(600, await shown(600, 'CONTAINER'))
  assert.deepEqual(await readdir(join(folder, 'state/layers/v1')), files)
})
