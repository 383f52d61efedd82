// The image that the attacks come in, written anew each time: the one program, copies of it with bits that must mean nothing, and device
// files. A second one has links where a sandbox mounts something.

import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Header, pack } from 'tar-stream'
import type { Installation } from '../up/installation.js'

type Entry = Partial<Header> & Pick<Header, 'name'> & { content?: Buffer }

/** Version 2, effective, cap_sys_admin permitted. */
const capability = Buffer.from('0100000200002000000000000000000000000000', 'hex')

/** Memory, ports, kernel log, terminals, FUSE, KVM, TUN; then loop, SCSI, virtio and NVMe disks. */
const nodes = {
  'character-device': ['1:1', '1:4', '1:11', '4:64', '5:1', '10:229', '10:232', '10:200'],
  'block-device': ['7:0', '8:0', '253:0', '254:0', '259:0'],
} as const

/** The tags are the values of `Attack.image`. */
export async function writeImages(folder: string, { attack }: Installation): Promise<void> {
  await mkdir(join(folder, 'blobs/sha256'), { recursive: true })
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  const plain = await writeBlob(folder, 'application/vnd.oci.image.layer.v1.tar', await tar(plainEntries(await readFile(attack))))
  const traps = await writeBlob(folder, 'application/vnd.oci.image.layer.v1.tar', await tar(trapEntries()))
  const manifests = [await writeManifest(folder, 'plain', [plain]), await writeManifest(folder, 'traps', [plain, traps])]
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
}

function plainEntries(program: Buffer): Entry[] {
  const owned = { uid: 0, gid: 0 }
  const devices = Object.entries(nodes).flatMap(([type, numbers]) =>
    numbers.map((number): Entry => {
      const [devmajor = 0, devminor = 0] = number.split(':').map(Number)
      const name = `nodes/${type}-${number.replace(':', '-')}`
      return { ...owned, name, type: type as keyof typeof nodes, mode: 0o666, devmajor, devminor }
    }),
  )
  return [
    { ...owned, name: 'attack', mode: 0o755, content: program },
    { ...owned, name: 'setuid', mode: 0o6755, content: program },
    {
      ...owned,
      name: 'capable',
      mode: 0o755,
      content: program,
      pax: { 'SCHILY.xattr.security.capability': capability.toString() },
    },
    { ...owned, name: 'tmp/', type: 'directory', mode: 0o1777 },
    { ...owned, name: 'nodes/', type: 'directory', mode: 0o755 },
    ...devices,
  ]
}

function trapEntries(): Entry[] {
  const link = (name: string, linkname: string): Entry => ({ name, type: 'symlink', linkname })
  return [
    { name: 'elsewhere/', type: 'directory', mode: 0o777 },
    link('proc', 'elsewhere'),
    link('sys', '../../../elsewhere'),
    link('dev', '/elsewhere'),
    link('tmp', '/elsewhere'),
    { name: 'etc/', type: 'directory', mode: 0o755 },
    link('etc/hosts', '/elsewhere/hosts'),
    link('etc/passwd', '/proc/1/environ'),
    link('etc/group', '/dev/tty'),
  ]
}

async function tar(entries: Entry[]): Promise<Buffer> {
  const archive = pack()
  const chunks: Buffer[] = []
  const read = (async () => {
    for await (const chunk of archive) chunks.push(chunk as Buffer)
  })()
  for (const { content, ...header } of entries) archive.entry(header, content ?? '')
  archive.finalize()
  await read
  return Buffer.concat(chunks)
}

interface Descriptor {
  mediaType: string
  digest: string
  size: number
}

async function writeBlob(folder: string, mediaType: string, bytes: Buffer | string): Promise<Descriptor> {
  const hash = createHash('sha256').update(bytes).digest('hex')
  await writeFile(join(folder, 'blobs/sha256', hash), bytes)
  return { mediaType, digest: `sha256:${hash}`, size: Buffer.byteLength(bytes) }
}

async function writeManifest(folder: string, tag: string, layers: Descriptor[]) {
  const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) }
  const configuration = JSON.stringify({ architecture: 'amd64', os: 'linux', config: { Env: ['PATH=/'] }, rootfs })
  const config = await writeBlob(folder, 'application/vnd.oci.image.config.v1+json', configuration)
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = await writeBlob(folder, mediaType, JSON.stringify({ schemaVersion: 2, mediaType, config, layers }))
  return { ...manifest, annotations: { 'org.opencontainers.image.ref.name': tag } }
}
