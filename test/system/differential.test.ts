// The tree that a sandbox sees of an image is the tree that umoci unpacks: in names, types, modes, owners, sizes, contents, links, times and
// attributes. Looked at from outside, with the eyes of the sandbox's own root.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { Fixture } from '../harness/fixture.js'
import { type Entry, type Layer, Layout, layer, layerOf, shellLayer, tar } from '../harness/layout.js'
import { cmdline, processes } from '../harness/processes.js'
import { until } from '../harness/until.js'

const fixture = await Fixture.start()
const { folder } = fixture.instance
const work = join(folder, 'work')
await mkdir(work)
const lister = new URL('../../../test/harness/tree.py', import.meta.url).pathname
const run = (program: string, ...args: string[]) =>
  execFileSync(program, args, { cwd: work, encoding: 'utf8', maxBuffer: 1 << 28 })
const sh = (script: string) => run('sh', '-ec', script)

/** A program that is found by its number. */
let naps = 700_000_000 + Math.floor(Math.random() * 1_000_000)

async function inSandbox(image: string): Promise<string> {
  const nap = String(naps++)
  const { runId } = await fixture.caisson.submit({ image, args: ['/bin/busybox', 'sleep', nap], isolation: 'CONTAINER' })
  try {
    let pid = 0
    await until('the program runs', 60_000, async () => {
      const { verdict } = await fixture.caisson.get(runId)
      assert.equal(verdict, undefined, JSON.stringify(verdict))
      for (const process of await processes()) if ((await cmdline(process.pid)) === `/bin/busybox sleep ${nap}`) pid = process.pid
      return pid !== 0
    })
    return run('python3', lister, '/', String(pid))
  } finally {
    await fixture.caisson.cancel(runId)
  }
}

async function expectSame(layout: string, tag: string): Promise<void> {
  const bundle = join(work, `bundle-${naps}`)
  // Tools write for themselves alone.
  run('chmod', '-R', 'a+rX', layout)
  run('umoci', 'raw', 'unpack', '--image', `${layout}:${tag}`, bundle)
  const lines = (text: string) => text.trim().split('\n')
  const [ours, theirs] = [lines(await inSandbox(`oci:${layout}:${tag}`)), lines(run('python3', lister, bundle))]
  await rm(bundle, { recursive: true })
  const without = (lines: string[], others: Set<string>) => lines.filter((line) => !others.has(line))
  const found = { ours: without(ours, new Set(theirs)), theirs: without(theirs, new Set(ours)) }
  assert.deepEqual(found, { ours: [], theirs: [] })
  assert.ok(ours.length > 10)
}

const file = (name: string, content = name, more: Partial<Entry> = {}): Entry => ({ name, content, mode: 0o644, ...more })
const directory = (name: string, more: Partial<Entry> = {}): Entry => ({
  name: `${name}/`,
  type: 'directory',
  mode: 0o755,
  ...more,
})
const link = (name: string, linkname: string): Entry => ({ name, type: 'link', linkname })
const symlink = (name: string, linkname: string): Entry => ({ name, type: 'symlink', linkname })
/** Version 2: cap_net_bind_service, permitted and effective. */
const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex').toString('latin1')

/** By hand: layers over the one with the shell, oldest first. */
const byHand: Record<string, (Entry[] | (() => Promise<Layer>))[]> = {
  'whiteouts over folders': [
    [directory('a'), directory('a/b'), file('a/b/c'), file('a/d'), directory('e'), file('e/f')],
    [directory('a'), file('a/.wh.b', ''), file('.wh.e', '')],
    [directory('a'), directory('a/b'), file('a/b/new')],
  ],
  'opaque folders': [
    [directory('o'), file('o/old'), directory('o/sub'), file('o/sub/old')],
    [directory('o', { mode: 0o700, uid: 5, gid: 6 }), file('o/new'), file('o/.wh..wh..opq', '')],
  ],
  'hard links, also across layers': [
    [directory('h'), file('h/one'), link('h/two', 'h/one'), file('h/alone')],
    [directory('h'), link('h/other', 'h/alone')],
    [directory('h'), file('h/.wh.two', '')],
  ],
  'attributes and file capabilities': [
    [
      file('noted', 'x', { pax: { 'SCHILY.xattr.user.note': 'kept', 'SCHILY.xattr.user.empty ': ' ' } }),
      directory('folder', { pax: { 'SCHILY.xattr.user.of': 'a folder' } }),
    ],
    async () => layerOf(await withCapability()),
  ],
  // Not the old GNU form, which umoci does not know; the converter's own tests have it.
  'holes, in each form of PAX': ['posix --sparse-version=0.0', 'posix --sparse-version=0.1', 'posix --sparse-version=1.0'].map(
    (form, number) => async () => {
      sh(
        `rm -rf sparse; mkdir sparse; truncate -s 3M sparse/hole${number}; printf x | dd of=sparse/hole${number} bs=1 seek=2000000 conv=notrunc status=none`,
      )
      return layerOf(execFileSync('sh', ['-c', `tar -C sparse -S --format=${form} -cf - .`], { cwd: work, maxBuffer: 1 << 26 }))
    },
  ),
  'names of every kind': [
    [
      file('grüße-日本-🚢'),
      file('with space'),
      file('new\nline'),
      file('back\\slash'),
      file('"quoted"'),
      directory('long'),
      file(`long/${'n'.repeat(200)}`),
    ],
    async () => {
      sh(`rm -rf odd; mkdir odd; touch "odd/$(printf 'not-\\377\\376-utf8')" odd/-dash`)
      return layerOf(execFileSync('sh', ['-c', 'tar -C odd -cf - .'], { cwd: work }))
    },
  ],
  'empty layers': [[], [file('between')], [], [directory('.')]],
  'setuid, sticky, odd owners': [
    [
      file('suid', 'x', { mode: 0o4755, uid: 1234, gid: 4321 }),
      file('sgid', 'x', { mode: 0o2711, uid: 0, gid: 42 }),
      directory('sticky', { mode: 0o1777 }),
      directory('shared', { mode: 0o2770, gid: 50 }),
      file('none', 'secret', { mode: 0, uid: 60_000 }),
    ],
  ],
  'devices and pipes': [
    [
      { name: 'null', type: 'character-device', devmajor: 1, devminor: 3, mode: 0o666 },
      { name: 'disk', type: 'block-device', devmajor: 8, devminor: 300, mode: 0o660, gid: 6 },
      { name: 'pipe', type: 'fifo', mode: 0o600 },
    ],
  ],
  'long names and odd times by PAX': [
    async () => {
      const [folder, name] = ['d'.repeat(120), 'f'.repeat(200)]
      sh(`rm -rf pax; mkdir -p pax/${folder}; echo x > pax/${folder}/${name}; chown 60000:60001 pax/${folder}/${name}
        ln -s ${'t'.repeat(300)} pax/far; touch -d @4000000000 pax/${folder}/${name}; touch -d @1.5 pax/ancient`)
      return layerOf(execFileSync('tar', ['-C', join(work, 'pax'), '--format=posix', '-cf', '-', '.']))
    },
  ],
  'entries of one name': [
    [
      file('twice', 'first'),
      file('twice', 'second', { mode: 0o600 }),
      directory('d'),
      file('d/in'),
      directory('d', { mode: 0o711 }),
    ],
    [symlink('now', 'nowhere'), file('now', 'a file'), file('then', 'a file'), directory('then')],
  ],
  'folders that are symlinks': [
    [directory('real'), file('real/a'), symlink('way', 'real'), symlink('up', '/real/../real')],
    [file('way/b'), file('up/c'), file('way/.wh.a', '')],
  ],
  'a file for a folder, and the other way': [
    [directory('x'), file('x/in'), file('y'), symlink('z', 'x')],
    [file('x', 'now a file'), directory('y'), file('y/in'), directory('z'), file('z/own')],
  ],
  'gzip of several members': [
    async () => {
      const data = await tar([file('members', 'm'.repeat(100_000))])
      return { ...layerOf(data), blob: Buffer.concat([gzipSync(data.subarray(0, 5000)), gzipSync(data.subarray(5000))]) }
    },
  ],
  'two hundred layers': Array.from({ length: 199 }, (_, n) => [
    directory('n'),
    file(`n/${n}`, `${n}`),
    ...(n % 2 ? [file(`n/.wh.${n - 1}`, '')] : []),
  ]),
}

async function withCapability(): Promise<Buffer> {
  sh('rm -rf capable; mkdir capable; cp /bin/true capable/bind')
  run(
    'python3',
    '-c',
    `import os; os.setxattr('capable/bind', 'security.capability', ${JSON.stringify(capability)}.encode('latin1'))`,
  )
  return execFileSync('tar', ['-C', join(work, 'capable'), '--xattrs', '--xattrs-include=*', '-cf', '-', '.'])
}

const shell = await shellLayer()
let made = 0
for (const [name, layers] of Object.entries(byHand)) {
  test(`by hand: ${name}`, { timeout: 120_000 }, async () => {
    const layout = await Layout.create(join(folder, 'images', `by-hand-${made++}`))
    const above = []
    for (const one of layers) above.push(await (Array.isArray(one) ? layer(one) : one()))
    await layout.index({ t: await layout.image([shell, ...above]) })
    await expectSame(layout.path, 't')
  })
}

test('by umoci: unpacked, changed and packed again', { timeout: 120_000 }, async () => {
  const image = join(folder, 'images', 'umoci')
  sh(`umoci init --layout ${image}; umoci new --image ${image}:t; umoci unpack --image ${image}:t u
    mkdir -p u/rootfs/bin u/rootfs/srv/deep/er; mkdir -m 1777 u/rootfs/tmp; cp /bin/busybox u/rootfs/bin; echo 1 > u/rootfs/srv/a; echo 2 > u/rootfs/srv/deep/er/b; ln u/rootfs/srv/a u/rootfs/srv/hard
    umoci repack --refresh-bundle --image ${image}:t u
    rm -r u/rootfs/srv/deep; mkdir u/rootfs/srv/deep; echo 3 > u/rootfs/srv/deep/c; chmod 4711 u/rootfs/srv/a; ln -s a u/rootfs/srv/l
    for n in 1 2 3 4 5 6 7 8; do echo $n > u/rootfs/srv/n$n; done
    umoci repack --image ${image}:t u`)
  await expectSame(image, 't')
})

test('by buildah: three commits', { timeout: 120_000 }, async () => {
  const image = join(folder, 'images', 'buildah')
  const storage = join(work, 'storage')
  const buildah = `buildah --storage-driver vfs --root ${storage} --runroot ${storage}.run`
  after(() => sh(`${buildah} rm --all > /dev/null 2>&1 || true; rm -rf ${storage} ${storage}.run`))
  sh(`c=$(${buildah} from scratch); m=$(${buildah} mount $c)
    mkdir -p $m/bin $m/srv/gone $m/tmp; cp /bin/busybox $m/bin; chmod 1777 $m/tmp; echo x > $m/srv/gone/x; echo a > $m/srv/a
    for n in 1 2 3 4 5 6 7 8; do echo $n > $m/srv/n$n; done
    ${buildah} commit -q $c one > /dev/null
    c=$(${buildah} from one); m=$(${buildah} mount $c); rm -r $m/srv/gone; ln $m/srv/a $m/srv/hard; chown 7:8 $m/srv/n1; ${buildah} commit -q $c two > /dev/null
    c=$(${buildah} from two); m=$(${buildah} mount $c); mkdir $m/srv/gone; echo y > $m/srv/gone/y; rm $m/srv/n2; ${buildah} commit -q $c oci:${image}:t > /dev/null`)
  await expectSame(image, 't')
})
