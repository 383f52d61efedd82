import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readVerified, sha256 } from '../documents/digest.js'
import { assertRefused, layerTar, readImage, tarOf, temporaryFolder, writeDockerArchive } from '../fixture.js'

const tar = await layerTar('hello')
const config = Buffer.from(JSON.stringify({ rootfs: { type: 'layers', diff_ids: [sha256(tar)] } }))
const configName = `${sha256(config).slice(7)}.json`
const configMember = { name: configName, data: config }

async function refused(message: RegExp, make: (path: string) => Promise<unknown>, kind = 'docker-archive'): Promise<void> {
  await using folder = await temporaryFolder()
  await make(join(folder.path, 'image.tar'))
  await assertRefused(readImage(folder.path, `${kind}:${folder.path}/image.tar`), message)
}

const dockerArchive =
  (manifest: unknown, ...members: Parameters<typeof tarOf>[0]) =>
  (path: string) =>
    writeDockerArchive(path, manifest, members)

test('members that are links stay inside', async () => {
  const image = [{ Config: configName, RepoTags: ['a:1'], Layers: ['x/layer.tar'] }]
  const link = (linkname: string) => dockerArchive(image, configMember, { name: 'x/layer.tar', type: 'symlink', linkname })
  await refused(/link that leads out of the archive/, link('../../../../etc/passwd'))
  await refused(/link that leads out of the archive/, link('/etc/passwd'))
  await refused(/chain of more than 16 links/, link('layer.tar'))
  await refused(/x\/layer.tar is missing/, link('../nowhere'))
})

test('what manifest.json and config say must fit', async () => {
  await refused(/manifest.json in .* must be a list/, dockerArchive({}))
  await refused(/holds no image/, dockerArchive([]))
  await refused(/Config must be a string/, dockerArchive([{ Config: 1 }]))
  await refused(/Layers is empty/, dockerArchive([{ Config: configName, Layers: [] }], configMember))
  await refused(
    /2 layers, but its config has 1 diff_ids/,
    dockerArchive([{ Config: configName, Layers: ['a', 'b'] }], configMember),
  )
  await refused(/holds other bytes/, dockerArchive([{ Config: configName, Layers: ['a'] }], { ...configMember, data: '{}' }))
})

test('an archive that is compressed, cut, empty, not there, or a folder', async () => {
  const cut = async (path: string) => writeFile(path, (await tarOf([{ name: 'a', data: 'x'.repeat(600) }])).subarray(0, 700))
  await refused(/truncated/, cut)
  await refused(/no docker-archive: it has no manifest.json/, (path) => writeFile(path, ''))
  await refused(/compressed/, (path) => writeFile(path, Buffer.from([0x1f, 0x8b, ...Array(600).fill(1)])), 'oci-archive')
  await refused(/no OCI image layout at/, (path) => writeFile(path, ''), 'oci-archive')
  await refused(/no readable image/, async () => {})
  await refused(/no readable image/, (path) => mkdir(path))
})

test('an archive that changes under us is noticed', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'image.tar')
  await dockerArchive([{ Config: configName, RepoTags: null, Layers: ['l'] }], configMember, { name: 'l', data: tar })(path)
  const { source, manifest } = await readImage(folder.path, `docker-archive:${path}`)
  await writeFile(path, 'something else')
  await assertRefused(readVerified(source.blob(manifest.config), manifest.config, 1 << 20), /was changed while it was read/)
})
