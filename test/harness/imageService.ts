// A service whose images come from registries of its own, one of them through a proxy that notes what it is asked.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CaissonError } from '../../client/sdk/error.js'
import type { PullEvent } from '../../client/sdk/imageModel.js'
import { makeCertificates } from './certificates.js'
import { Fixture } from './fixture.js'
import { busybox } from './images.js'
import { command } from './instance.js'
import { watchedProxy } from './interference.js'
import { Layout, layer, shellLayer } from './layout.js'
import { Registry } from './registry.js'

export const tenant = { name: 'tenant', password: 'tenants-pass-4711' }

export interface ImageService {
  fixture: Fixture
  open: Registry
  /** For the tenant alone. */
  guarded: Registry
  /** `open`, as the proxy has it. */
  counted: string
  /** What the proxy was asked, and does. */
  watched: { asked: string[]; stalling: boolean; left: number }
  /** `caisson images` with these arguments. */
  caisson(...args: string[]): Promise<Ended>
}

export async function startImageService(): Promise<ImageService> {
  const watched = { asked: [] as string[], stalling: false, left: 0 }
  const made = {} as Pick<ImageService, 'open' | 'guarded' | 'counted'>
  const fixture = await Fixture.start({}, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'caisson-image-service-'))
    await chmod(folder, 0o755)
    const tls = await makeCertificates(folder)
    const open = await Registry.start(folder)
    const guarded = await Registry.start(folder, { tls, user: tenant })
    const proxy = await watchedProxy(open.port, watched)
    await open.push(await threeLayers(folder), 'library/three:1')
    await open.push(busybox, 'a/busybox:1')
    await guarded.push(busybox, 'private/busybox:1')
    Object.assign(made, { open, guarded, counted: proxy.host })
    const args = ['--registry-ca', tls.caFile, '--registry-allow', guarded.host, '--registry-plain-http', open.host, proxy.host]
    const undo = async () => {
      for (const each of [proxy, open, guarded]) await each.stop()
      await rm(folder, { recursive: true })
    }
    return { options: { args }, undo }
  })
  return { ...made, fixture, watched, caisson: (...args) => caisson(fixture.instance.address, args) }
}

/** Each of them whole in itself, and large enough to be under way for a while. */
async function threeLayers(folder: string): Promise<string> {
  const layout = await Layout.create(join(folder, 'three'))
  const data = (name: string) =>
    layer([
      { name, type: 'directory' },
      { name: `${name}/file`, content: randomBytes(4 << 20) },
    ])
  const image = await layout.image([await shellLayer(), await data('one'), await data('two')])
  return `${await layout.index({ three: image })}:three`
}

export async function events(pulling: AsyncIterable<PullEvent>): Promise<PullEvent[]> {
  const all: PullEvent[] = []
  for await (const event of pulling) all.push(event)
  return all
}

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

function caisson(address: string, args: string[]): Promise<Ended> {
  const env = { ...process.env, CAISSON_ADDRESS: address }
  const child = spawn(process.execPath, [command, 'images', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env })
  const ended: Ended = { code: null, stdout: '', stderr: '' }
  child.stdout.on('data', (data) => {
    ended.stdout += data
  })
  child.stderr.on('data', (data) => {
    ended.stderr += data
  })
  return new Promise((resolve) => child.on('close', (code) => resolve({ ...ended, code })))
}

export const failsWith = (code: string, reason: string, message: RegExp) => (error: CaissonError) => {
  assert.deepEqual([error.code, error.reason], [code, reason], error.message)
  assert.match(error.message, message)
  return true
}
