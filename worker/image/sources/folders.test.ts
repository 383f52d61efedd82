import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { assertRefused, Layout, layerTar, readImage, refusal, temporaryFolder } from '../fixture.js'

test('paths that lead out are refused in the same words, whatever is there', async () => {
  await using outside = await temporaryFolder()
  const images = join(outside.path, 'images')
  await (await Layout.at(join(outside.path, 'real'))).index([])
  await mkdir(images)
  await symlink(outside.path, join(images, 'link'))
  const message = async (kind: string, path: string, message: RegExp) =>
    (await assertRefused(readImage(images, `${kind}:${path}`), message)).replaceAll(path, 'PATH')

  const notInside = /not inside a folder that the worker's operator allowed \(--images\)/
  const leadsOut = /leads out of the folders that the worker's operator allowed \(--images\)/
  for (const kind of ['oci', 'oci-archive', 'docker-archive']) {
    const same = async (path: string, pattern: RegExp) =>
      assert.equal(await message(kind, `${path}/real`, pattern), await message(kind, `${path}/none`, pattern))
    await same(outside.path, notInside)
    await same(`${images}/..`, notInside)
    await same(`${images}side`, notInside)
    await same(`${images}/link`, leadsOut)
    await message(kind, `${images}/link/real/index.json`, leadsOut)
  }
})

test('a folder that is itself a symlink, and images under both its names', async () => {
  await using folder = await temporaryFolder()
  const layout = await Layout.at(join(folder.path, 'real/x'))
  await layout.index([await layout.image([await layerTar('a')])])
  await symlink('real', join(folder.path, 'name'))
  for (const path of ['name/x', 'real/x']) await readImage(join(folder.path, 'name'), `oci:${folder.path}/${path}`)
})

refusal('a blob that leads out of the folders', 'IMAGE_MALFORMED', /blob sha256:\w{64} is missing/, async (layout) => {
  const image = await layout.image([await layerTar('a')])
  await layout.index([image])
  await rm(layout.pathOf(image.digest))
  await symlink('/etc/hostname', layout.pathOf(image.digest))
})

refusal('a FIFO for an index', 'IMAGE_NOT_FOUND', /no readable index.json in it/, async (layout) => {
  execFileSync('mkfifo', [join(layout.path, 'index.json')])
})
