// Images as umoci, buildah and skopeo write them: every way in gives the same config and the same layers, byte for byte.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { type FileReference, parseReference } from '../../../proto/reference.js'
import { parseConfig } from '../documents/config.js'
import { readVerified, sha256 } from '../documents/digest.js'
import { Layout, layerTar, named, tarOf, temporaryFolder, types, writeDockerArchive } from '../fixture.js'
import { ImageFolders } from './folders.js'
import { openSource } from './open.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
const run = (program: string, ...args: string[]) =>
  execFileSync(program, args, { cwd: folder.path, stdio: ['ignore', 'pipe', 'pipe'] }).toString()

/** Everything, layers too, checked as the worker and the converter check it. */
async function readAll(text: string) {
  const reference = parseReference(text.replace('@', `${folder.path}/`)) as FileReference
  const source = await openSource(reference, await ImageFolders.open([folder.path]))
  const manifest = await source.manifest(reference)
  const config = parseConfig(await readVerified(source.blob(manifest.config), manifest.config, 8 << 20), manifest.config.digest)
  for (const [index, layer] of manifest.layers.entries()) {
    const chunks: Buffer[] = []
    for await (const chunk of source.blob(layer)) chunks.push(chunk)
    const blob = Buffer.concat(chunks)
    assert.equal(blob.length, layer.size)
    if (source.layerDigest === 'blob') assert.equal(sha256(blob), layer.digest)
    assert.equal(sha256(blob[0] === 0x1f ? gunzipSync(blob) : blob), config.diffIds[index])
  }
  return { ...config, digest: manifest.digest }
}

before(async () => {
  folder = await temporaryFolder()
  await umociImage()
})
after(() => folder[Symbol.asyncDispose]())

/** Three layers, the last with a whiteout and an opaque directory. */
async function umociImage(): Promise<void> {
  run('umoci', 'init', '--layout', 'umoci')
  run('umoci', 'new', '--image', 'umoci:latest')
  const layers = [
    await layerTar('first'),
    await tarOf([
      { name: 'etc/hosts', data: 'x'.repeat(300_000) },
      { name: 'var/a', data: 'a' },
    ]),
    await tarOf([{ name: 'etc/.wh.motd' }, { name: 'var/.wh..wh..opq' }, { name: 'var/b', data: 'b' }]),
  ]
  for (const layer of layers) {
    await writeFile(join(folder.path, 'layer.tar'), layer)
    run('umoci', 'raw', 'add-layer', '--image', 'umoci:latest', 'layer.tar')
  }
  run(
    'umoci',
    'config',
    '--image',
    'umoci:latest',
    '--config.entrypoint',
    '/bin/sh',
    '--config.env',
    'A=1',
    '--config.user',
    'app',
    '--config.workingdir',
    '/srv',
  )
}

test('umoci, and what skopeo makes of it', async () => {
  const image = await readAll('oci:@umoci:latest')
  assert.equal(image.diffIds.length, 3)
  assert.deepEqual(image.defaults, { entrypoint: ['/bin/sh'], cmd: [], env: ['A=1'], workingDir: '/srv', user: 'app' })
  run('skopeo', 'copy', '--quiet', 'oci:umoci:latest', 'oci:copy:docker.io/library/x:1')
  run('skopeo', 'copy', '--quiet', 'oci:umoci:latest', 'oci-archive:copy.oci.tar:v1')
  run('skopeo', 'copy', '--quiet', 'oci:umoci:latest', 'docker-archive:copy.docker.tar:x/y:1')
  run('skopeo', 'copy', '--quiet', '--dest-compress-format', 'gzip', '--format', 'v2s2', 'oci:umoci:latest', 'dir:v2s2')
  const ways = [
    'oci:@copy:docker.io/library/x:1',
    'oci:@copy',
    'oci-archive:@copy.oci.tar:v1',
    'oci-archive:@copy.oci.tar',
    'docker-archive:@copy.docker.tar',
    'docker-archive:@copy.docker.tar:docker.io/x/y:1',
  ]
  for (const way of ways) assert.deepEqual((await readAll(way)).diffIds, image.diffIds, way)
  assert.deepEqual((await readAll('docker-archive:@copy.docker.tar')).defaults, image.defaults)
  assert.equal((await readAll(`oci:@umoci@${image.digest}`)).digest, image.digest)
})

test('buildah: OCI and Docker media types, gzip and plain', async () => {
  const storage = ['--storage-driver', 'vfs', '--root', join(folder.path, 'storage'), '--runroot', join(folder.path, 'runroot')]
  const buildah = (...args: string[]) => run('buildah', ...storage, ...args).trim()
  await mkdir(join(folder.path, 'files'))
  await writeFile(join(folder.path, 'files/hello'), 'hello')
  const container = buildah('from', 'scratch')
  buildah('copy', container, 'files/hello', '/srv/hello')
  buildah('config', '--cmd', '/srv/hello', '--env', 'B=2', container)
  buildah('commit', '--quiet', container, `oci:${folder.path}/buildah:1`)
  buildah('commit', '--quiet', '--disable-compression', container, `oci:${folder.path}/buildah-plain:1`)
  buildah('commit', '--quiet', '--format', 'docker', container, `docker-archive:${folder.path}/buildah.tar:b:1`)
  buildah('commit', '--quiet', '--format', 'docker', '--rm', container, `oci-archive:${folder.path}/buildah.oci.tar:1`)
  for (const way of ['oci:@buildah:1', 'oci:@buildah-plain', 'docker-archive:@buildah.tar:b:1', 'oci-archive:@buildah.oci.tar']) {
    const { diffIds, defaults } = await readAll(way)
    assert.equal(diffIds.length, 1, way)
    assert.deepEqual(defaults.cmd, ['/srv/hello'], way)
    assert.ok(defaults.env.includes('B=2'), way)
  }
})

test('docker save, old: a layer that comes twice is a symlink; and gzip in it', async () => {
  const tar = await layerTar('twice')
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: 'amd64',
      config: null,
      rootfs: { type: 'layers', diff_ids: Array(3).fill(sha256(tar)) },
    }),
  )
  const name = `${sha256(config).slice(7)}.json`
  const manifest = [{ Config: name, RepoTags: ['a:latest', 'b:1'], Layers: ['1/layer.tar', '2/layer.tar', '3.tar'] }]
  await writeDockerArchive(join(folder.path, 'saved.tar'), manifest, [
    { name, data: config },
    { name: '1/layer.tar', data: tar },
    { name: '2/layer.tar', type: 'symlink', linkname: '../1/layer.tar' },
    { name: '3.tar', type: 'link', linkname: '1/layer.tar' },
  ])
  for (const tag of ['', ':a', ':docker.io/library/a:latest', ':b:1'])
    assert.equal((await readAll(`docker-archive:@saved.tar${tag}`)).diffIds.length, 3)
  await assert.rejects(readAll('docker-archive:@saved.tar:b:2'), /holds no image b:2; there are: a:latest, b:1/)
})

test('an index of platforms, nested, with attestations beside; sha512', async () => {
  const layout = await Layout.at(join(folder.path, 'index'))
  const [ours, other] = [
    await layout.image([await layerTar('ours')], { plain: true }),
    await layout.image([await layerTar('other')]),
  ]
  const index = await layout.json(
    {
      schemaVersion: 2,
      mediaType: types.dockerIndex,
      manifests: [
        { ...other, platform: { os: 'linux', architecture: 's390x' } },
        { ...ours, platform: { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch } },
        { ...other, platform: { os: 'unknown', architecture: 'unknown' } },
      ],
    },
    types.dockerIndex,
  )
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [index] }))
  const digest = `sha512:${createHash('sha512').update(bytes).digest('hex')}`
  await mkdir(join(layout.path, 'blobs/sha512'))
  await writeFile(layout.pathOf(digest), bytes)
  await layout.index([named({ mediaType: types.index, digest, size: bytes.length }, 'all'), named(other, 'other')])
  assert.equal((await readAll('oci:@index:all')).digest, ours.digest)
  assert.equal((await readAll(`oci:@index@${digest}`)).digest, ours.digest)
})
