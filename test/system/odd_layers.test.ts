// Layers as the world writes them: whiteouts, opaque folders, links across layers, missing parents; and as attackers do.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { describeVerdict, run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { type Entry, Layout, layer, layerOf, shellLayer, tar } from '../harness/layout.js'

const fixture = await Fixture.start()

const file = (name: string, content = name, more: Partial<Entry> = {}): Entry => ({ name, content, mode: 0o644, ...more })
const folder = (name: string, mode = 0o755): Entry => ({ name: `${name}/`, type: 'directory', mode })

/** Runs a script in an image of the shell's layer and these above it. */
async function inImage(name: string, layers: Entry[][], script: string, plain = false): Promise<string> {
  const layout = await Layout.create(join(fixture.instance.folder, 'images', name))
  const above = await Promise.all(layers.map(async (entries) => (plain ? layerOf(await tar(entries), 'none') : layer(entries))))
  const reference = await layout.index({ latest: await layout.image([await shellLayer(), ...above]) })
  const finished = await run(fixture.caisson, { image: `${reference}:latest`, args: ['sh', '-c', script] })
  assert.equal(finished.verdict.outcome, 'EXITED', describeVerdict(finished))
  return finished.stdout.toString()
}

test('whiteouts take away files and folders of lower layers', async () => {
  const lower = [folder('a'), file('a/gone'), file('a/stays'), folder('a/sub'), file('a/sub/x'), file('top')]
  const upper = [file('a/.wh.gone', ''), file('a/.wh.sub', ''), file('.wh.top', ''), file('a/.wh.never-was', '')]
  assert.equal(await inImage('whiteouts', [lower, upper], 'find /a /top 2>/dev/null | sort'), '/a\n/a/stays\n')
})

test('an opaque folder hides what was below, also when its mark comes after its entries', async () => {
  const lower = [folder('o'), file('o/old'), folder('o/sub'), file('o/sub/old')]
  const upper = [folder('o'), file('o/new'), file('o/.wh..wh..opq', '')]
  assert.equal(await inImage('opaque', [lower, upper], 'find /o | sort'), '/o\n/o/new\n')
})

test('a whiteout and a new file of the same name in one layer', async () => {
  const lower = [folder('d'), file('d/f', 'old')]
  const upper = [file('d/.wh.f', ''), file('d/f', 'new')]
  assert.equal(await inImage('again', [lower, upper], 'cat /d/f'), 'new')
})

test('a file in place of a folder, and a folder in place of a file', async () => {
  const lower = [folder('x'), file('x/in'), file('y')]
  const upper = [file('x', 'file now'), folder('y'), file('y/in', 'inside')]
  assert.equal(await inImage('swapped', [lower, upper], 'cat /x; cat /y/in'), 'file nowinside')
})

test('of several entries of one name the last one wins', async () => {
  const entries = [
    file('f', 'first'),
    file('g'),
    file('f', 'second', { mode: 0o600 }),
    folder('d', 0o700),
    file('d/x'),
    folder('d', 0o711),
  ]
  assert.equal(await inImage('twice', [entries], 'cat /f; stat -c " %a" /f /d'), 'second 600\n 711\n')
})

test('a missing parent folder keeps what the lower layer says of it', async () => {
  assert.equal(
    await inImage('parents', [[file('tmp/x'), file('new/deep/y')]], 'stat -c %a /tmp /new /new/deep'),
    '1777\n755\n755\n',
  )
})

test('hard links within a layer, and into a lower one', async () => {
  const lower = [file('one', 'content')]
  const upper: Entry[] = [
    file('two', 'two'),
    { name: 'three', type: 'link', linkname: 'two' },
    { name: 'four', type: 'link', linkname: 'one' },
  ]
  assert.equal(await inImage('links', [lower, upper], 'cat /three /four; stat -c " %h" /two'), 'twocontent 2\n')
})

test('a layer that is not compressed', async () => {
  assert.equal(await inImage('plain', [[file('f', 'plain')]], 'cat /f', true), 'plain')
})

test('owners, modes, times and long names', async () => {
  const long = `${'d'.repeat(120)}/${'f'.repeat(120)}`
  const entries = [
    folder('d'.repeat(120)),
    file(long, 'x', { uid: 1234, gid: 5678, mode: 0o6755, mtime: new Date(1_000_000_000_000) }),
  ]
  assert.equal(await inImage('owners', [entries], `stat -c "%u %g %a %Y" /${long}`), '1234 5678 6755 1000000000\n')
})

test('paths that lead out of the root lead nowhere', async () => {
  const target = join(fixture.instance.folder, 'escaped')
  const entries: Entry[] = [
    file(`../../../../../../..${target}`),
    file(target),
    { name: 'out', type: 'symlink', linkname: fixture.instance.folder },
    file('out/escaped'),
    { name: 'hard', type: 'link', linkname: '../../../etc/shadow' },
  ]
  const layout = await Layout.create(join(fixture.instance.folder, 'images', 'escape'))
  const reference = await layout.index({ latest: await layout.image([await shellLayer(), await layer(entries)]) })
  const finished = await run(fixture.caisson, { image: `${reference}:latest`, args: ['cat', '/hard'] })
  assert.ok(finished.verdict.outcome === 'IMAGE_ERROR' || finished.verdict.exitCode !== 0, describeVerdict(finished))
  await assert.rejects(readFile(target))
})

test('devices of a layer are no way to the host\u2019s', async () => {
  const entries: Entry[] = [
    { name: 'sda', type: 'block-device', devmajor: 8, devminor: 0, mode: 0o666 },
    { name: 'mem', type: 'character-device', devmajor: 1, devminor: 1, mode: 0o666 },
  ]
  const layout = await Layout.create(join(fixture.instance.folder, 'images', 'devices'))
  const reference = await layout.index({ latest: await layout.image([await shellLayer(), await layer(entries)]) })
  const finished = await run(fixture.caisson, { image: `${reference}:latest`, args: ['sh', '-c', 'cat /sda || cat /mem'] })
  assert.ok(finished.verdict.outcome === 'IMAGE_ERROR' || finished.verdict.exitCode !== 0, describeVerdict(finished))
  assert.equal(finished.stdout.length, 0)
})

test('sixty layers', async () => {
  const layers = Array.from({ length: 60 }, (_, i) => [file(`f${i}`, `${i} `), file('last', `${i}`)])
  assert.equal(await inImage('deep', layers, 'cat /f0 /f30 /f59 /last'), '0 30 59 59')
})
