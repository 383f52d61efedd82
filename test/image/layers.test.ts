// Images through the real launcher and converter: what a sandbox will see is what the reference tool unpacks.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { sha256 } from '../../worker/image/documents/digest.js'
import { assertRefused, Layout, layerTar, named, tarOf, types } from '../../worker/image/fixture.js'
import { images as madeImages } from '../harness/images.js'
import { Launcher } from './launcher.js'

let launcher: Launcher
const never = () => new AbortController().signal
const run = (program: string, ...args: string[]) =>
  execFileSync(program, args, { cwd: launcher.images, maxBuffer: 1 << 28 }).toString()

before(async () => {
  launcher = await Launcher.start()
})
after(() => launcher[Symbol.asyncDispose]())

const listXattrs = `
import os, sys
for folder, folders, files in os.walk(sys.argv[1]):
    for path in [os.path.join(folder, name) for name in folders + files]:
        for name in os.listxattr(path, follow_symlinks=False):
            if not name.startswith('trusted.overlay.'): print(os.path.relpath(path, sys.argv[1]), name, os.getxattr(path, name, follow_symlinks=False))
`

/** Name, type, mode, owner, link target, size and time of everything, contents of every file, and xattrs. */
function treeOf(root: string): string[] {
  const fields = (format: string, ...tests: string[]) =>
    run('find', root, '-mindepth', '1', ...tests, '-printf', `${format}\\n`).split('\n')
  const metadata = [...fields('%P %y %m %U %G %s %Ts %l', '!', '-type', 'd'), ...fields('%P d %m %U %G', '-type', 'd')]
  const contents = run('sh', '-c', `cd '${root}' && find . -type f -exec sha256sum {} +`).split('\n')
  const xattrs = run('python3', '-c', listXattrs, root).split('\n')
  return [...metadata, ...contents, ...xattrs].sort()
}

async function expectSameTree(layout: string, tag: string): Promise<string[]> {
  const bundle = join(launcher.folder.path, `bundle-${tag}`)
  run('umoci', 'unpack', '--image', `${layout}:${tag}`, bundle)
  const { layerKeys } = await (await launcher.worker()).prepare(`oci:${launcher.images}/${layout}:${tag}`, never())
  assert.deepEqual(treeOf(await launcher.mount(layerKeys)), treeOf(join(bundle, 'rootfs')))
  await rm(bundle, { recursive: true })
  return layerKeys
}

const file = (name: string, data: string) => ({ name, data })
const folder = (name: string, mode = 0o755) => ({ name, type: 'directory' as const, mode })

test('whiteouts, opaque folders, links, modes, times, completed layers: as umoci unpacks them', async () => {
  const layout = await Layout.at(join(launcher.images, 'odd'))
  const base = await tarOf([
    folder('.', 0o755),
    folder('etc'),
    folder('tmp', 0o1777),
    folder('var/'),
    folder('var/cache'),
    file('etc/a', 'a'),
    file('etc/b', 'b'),
    file('var/cache/x', 'x'),
    { ...file('bin', 'setuid'), mode: 0o4755, uid: 3, gid: 4, mtime: new Date(1e12), pax: { 'SCHILY.xattr.user.note': 'kept' } },
    { name: 'link', type: 'symlink', linkname: '../../etc/a', mode: 0o777 },
    { name: 'hard', type: 'link', linkname: 'etc/b' },
  ])
  const changes = await tarOf([
    folder('etc'),
    file('etc/.wh.a', ''),
    folder('var'),
    folder('var/cache'),
    file('var/cache/y', 'y'),
    file('var/cache/.wh..wh..opq', ''),
    file('etc/b', 'new'),
  ])
  // Neither folder is in the layer, and the hardlink leads into the one below: it needs its lowers.
  const needy = await tarOf([
    file('tmp/deep/er/file', 'z'),
    { name: 'tmp/hard', type: 'link', linkname: 'etc/b' },
    file('new/folder/file', 'n'),
  ])
  const parentless = await tarOf([file('srv/data/x', 'x')])
  await layout.index([
    named(await layout.image([base, changes, needy]), 'odd'),
    named(await layout.image([parentless, base]), 'bottom'),
  ])
  const keys = await expectSameTree('odd', 'odd')
  assert.match(keys.join(' '), /^sha256-\w+ sha256-\w+ chain-\w+$/)
  assert.match((await expectSameTree('odd', 'bottom')).join(' '), /^chain-\w+ sha256-\w+$/)
})

test('a Debian with Python, as layout and as archive: one set of layers', async () => {
  run('cp', '-a', join(madeImages, 'python'), join(launcher.images, 'copy'))
  const keys = await expectSameTree('copy', 'latest')
  run('skopeo', 'copy', '--quiet', 'oci:copy:latest', 'docker-archive:python.tar:python:1')
  const files = await readdir(launcher.store)
  const { layerKeys } = await (await launcher.worker()).prepare(`docker-archive:${launcher.images}/python.tar:python:1`, never())
  assert.deepEqual(layerKeys, keys)
  assert.deepEqual(await readdir(launcher.store), files)
})

test('two workers convert the same image at once', async () => {
  const layout = await Layout.at(join(launcher.images, 'twice'))
  await layout.index([await layout.image([await layerTar('1'), await layerTar('2'), await layerTar('3')])])
  const workers = await Promise.all([launcher.worker(), launcher.worker()])
  const [one, two] = await Promise.all(workers.map((images) => images.prepare(`oci:${layout.path}`, never())))
  assert.deepEqual(one?.layerKeys, two?.layerKeys)
})

test('bad layers: refused with digest and limit, and nothing of them is left', async () => {
  const before = await readdir(launcher.store)
  const tar = await layerTar('bad')
  const limits = { bytes: 1 << 20, entries: 3 }
  const gzip = `${types.layer}+gzip`
  const refused = async (
    name: string,
    message: RegExp,
    reason: Parameters<typeof assertRefused>[2],
    blob: Buffer,
    diffId = sha256(tar),
    change?: (path: string) => Promise<void>,
  ) => {
    const layout = await Layout.at(join(launcher.images, name))
    const layer = await layout.blob(blob, gzip)
    await layout.index([
      await layout.image([tar], { manifest: { layers: [layer] }, config: { rootfs: { type: 'layers', diff_ids: [diffId] } } }),
    ])
    await change?.(layout.pathOf(layer.digest))
    await assertRefused((await launcher.worker(limits)).prepare(`oci:${layout.path}`, never()), message, reason)
  }
  const other = sha256(Buffer.from('other'))
  await refused('diff-id', /layer sha256:\w{64}: .*DiffID/, 'IMAGE_DIFF_ID_MISMATCH', gzipSync(tar), other)
  await refused(
    'blob-digest',
    /blob sha256:\w{64} holds other bytes/,
    'IMAGE_DIGEST_MISMATCH',
    gzipSync(tar),
    undefined,
    (path) => writeFile(path, Buffer.alloc(gzipSync(tar).length)),
  )
  await refused('blob-short', /bytes where its descriptor says/, 'IMAGE_DIGEST_MISMATCH', gzipSync(tar), undefined, (path) =>
    truncate(path, 100),
  )
  await refused('gzip-cut', /layer sha256:/, 'IMAGE_TRUNCATED', gzipSync(tar).subarray(0, 100))
  await refused('bomb', /1048576/, 'IMAGE_TOO_LARGE', gzipSync(Buffer.alloc(100 << 20)))
  const many = await tarOf(['a', 'b', 'c', 'd'].map((name) => file(name, '')))
  await refused('entries', / 3/, 'IMAGE_TOO_LARGE', gzipSync(many), sha256(many))
  const outside = await tarOf([file('../../etc/passwd', 'x')])
  await refused('escape', /\.\./, 'IMAGE_MALFORMED', gzipSync(outside), sha256(outside))
  await refused('garbage', /layer sha256:/, 'IMAGE_MALFORMED', gzipSync(Buffer.alloc(2048, 7)), sha256(Buffer.alloc(2048, 7)))
  assert.deepEqual(await readdir(launcher.store), before)
})

test('a run that is given up leaves no conversion behind, and the next one works', async () => {
  const layout = await Layout.at(join(launcher.images, 'given-up'))
  const random = execFileSync('head', ['--bytes=50M', '/dev/urandom'], { maxBuffer: 1 << 28 })
  await layout.index([await layout.image([await tarOf([{ name: 'big', data: random }])], { plain: true })])
  const images = await launcher.worker()
  const stop = new AbortController()
  const given = images.prepare(`oci:${layout.path}`, stop.signal, () => stop.abort(new Error('given up')))
  await assert.rejects(given, /given up/)
  const converters = () => run('sh', '-c', `ls /run/caisson/${launcher.name}/channels`).trim()
  for (let tries = 0; converters() !== '' && tries < 100; tries++) await sleep(50)
  assert.equal(converters(), '')
  const { layerKeys } = await images.prepare(`oci:${layout.path}`, never())
  assert.equal(
    sha256(execFileSync('cat', [join(await launcher.mount(layerKeys), 'big')], { maxBuffer: 1 << 28 })),
    sha256(random),
  )
})
