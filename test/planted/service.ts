// An installation of which launcher and agent can leave out walls; everything else in it is as in any other.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Report } from '../../client/attack/attack.js'
import type { Removal } from './removals.js'
import type { Noticed } from './table.js'

const run = promisify(execFile)
const built = resolve('target/planted/x86_64-unknown-linux-gnu')
const installation = resolve('target/planted/installation')
const binaries = join(installation, 'target/x86_64-unknown-linux-gnu/release')

export class Planted implements AsyncDisposable {
  static async build(): Promise<Planted> {
    await compile()
    await install()
    return new Planted()
  }

  /** `only`: these programs; all without it. */
  async attackWithout(removal: Removal, only?: string[]): Promise<Noticed> {
    const script = join(binaries, 'caisson-launcher')
    await writeFile(script, `#!/bin/sh\nCAISSON_PLANTED=${removal.wall} exec ${join(binaries, 'launcher')} "$@"\n`)
    await chmod(script, 0o755)
    const command = join(installation, 'dist/client/command/main.js')
    const args = [command, 'doctor', '--attack', '--backend', 'container', '--json', ...(only ? ['--only', only.join(',')] : [])]
    return { removal, ...(await attack(args)) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(installation, { recursive: true })
  }
}

/** How the worker tells that its launcher could not do a step of any sandbox; then nothing comes of waiting. */
const noSandbox = /no sandbox can be made cause=LauncherFailed: launcher: (.*)/

async function attack(args: string[]): Promise<Omit<Noticed, 'removal'>> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (data) => {
    stdout += data
  })
  child.stderr.on('data', (data) => {
    stderr += data
    if (noSandbox.test(stderr)) child.kill('SIGINT')
  })
  // Exit code 1 is the answer hoped for.
  await once(child, 'close')
  const stopped = noSandbox.exec(stderr)?.[1]
  if (stopped !== undefined) return { by: [], all: false, why: [], stopped }
  if (!stdout.startsWith('{')) throw new Error(`the attack could not be done: ${stderr.trim().slice(-300)}`)
  const { results }: Report = JSON.parse(stdout)
  const ran = results.filter(({ answer, name }) => answer !== 'not applicable' && name !== 'next-client')
  const broken = ran.filter(({ answer }) => answer === 'broken')
  const why = broken.map(({ name, detail }) => `${name}: ${detail}`)
  return { by: broken.map(({ name }) => name), all: ran.length > 1 && broken.length === ran.length, why, stopped: '' }
}

/** Quick to build rather than to run; but of the agent there is a release alone, built by itself (scripts/build). */
async function compile(): Promise<void> {
  await cargo('--package', 'caisson-launcher', '--features', 'planted')
  await cargo('--release', '--package', 'caisson-agent', '--features', 'program,planted')
}

async function cargo(...what: string[]): Promise<void> {
  const args = ['build', '--quiet', '--locked', '--bins', '--target-dir', 'target/planted', ...what]
  const [code] = await once(spawn('cargo', args, { stdio: 'inherit' }), 'exit')
  if (code !== 0) throw new Error('cargo failed')
}

/** A copy by hard links, whose launcher is a script that names the wall. */
async function install(): Promise<void> {
  await rm(installation, { recursive: true, force: true })
  await mkdir(binaries, { recursive: true })
  await run('cp', ['-al', 'dist', 'node_modules', 'proto', 'redis', 'package.json', installation])
  await run('cp', [join(built, 'release/caisson-agent'), binaries])
  await run('cp', [join(built, 'debug/caisson-launcher'), join(binaries, 'launcher')])
  const release = resolve('target/x86_64-unknown-linux-gnu/release')
  const others = (await readdir(release)).filter((name) => /^caisson-[a-z]+$/.test(name) && !/launcher|agent/.test(name))
  await run('cp', [...others.map((name) => join(release, name)), binaries])
}
