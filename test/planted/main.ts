// npm run planted [-- WALL …]: leaves out one wall at a time, and shows which hostile programs notice. As root; in containers.
//
// Launcher and agent are built apart, with the feature `planted`, by which they can leave out a wall. Everything else is the same. A removal
// that nobody notices is a failure, unless another wall is known to stand behind it.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Report } from '../../client/attack/attack.js'
import { table } from '../../client/command/table.js'
import { removals } from './removals.js'

const run = promisify(execFile)
const built = resolve('target/planted/x86_64-unknown-linux-gnu/release')
const installation = resolve('target/planted/installation')
const binaries = join(installation, 'target/x86_64-unknown-linux-gnu/release')

interface Noticed {
  wall: string
  by: string[]
  /** Of the attack itself: it could not be done. */
  failure: string
}

async function main(only: string[]): Promise<number> {
  await build()
  await install()
  const rows: Noticed[] = [await attackWithout('nothing')]
  process.stdout.write(`${line(rows[0] as Noticed)}\n`)
  for (const { wall } of removals.filter(({ wall }) => only.length === 0 || only.includes(wall))) {
    const noticed = await attackWithout(wall)
    process.stdout.write(`${line(noticed)}\n`)
    rows.push(noticed)
  }
  await rm(installation, { recursive: true })
  return conclude(rows)
}

async function build(): Promise<void> {
  const packages = ['launcher', 'agent'].flatMap((name) => ['--package', `caisson-${name}`])
  const features = ['--features', 'caisson-launcher/planted,caisson-agent/planted', '--target-dir', 'target/planted']
  const cargo = spawn('cargo', ['build', '--quiet', '--release', '--locked', ...packages, ...features], { stdio: 'inherit' })
  const [code] = await once(cargo, 'exit')
  if (code !== 0) throw new Error('cargo failed')
}

/** A copy by hard links, whose launcher is a script that names the wall. */
async function install(): Promise<void> {
  await rm(installation, { recursive: true, force: true })
  await mkdir(binaries, { recursive: true })
  await run('cp', ['-al', 'dist', 'node_modules', 'proto', 'redis', 'package.json', installation])
  await run('cp', [join(built, 'caisson-agent'), binaries])
  await run('cp', [join(built, 'caisson-launcher'), join(binaries, 'launcher')])
  const release = resolve('target/x86_64-unknown-linux-gnu/release')
  const others = (await readdir(release)).filter((name) => /^caisson-[a-z]+$/.test(name) && !/launcher|agent/.test(name))
  await run('cp', [...others.map((name) => join(release, name)), binaries])
}

async function attackWithout(wall: string): Promise<Noticed> {
  const script = join(binaries, 'caisson-launcher')
  await writeFile(script, `#!/bin/sh\nCAISSON_PLANTED=${wall} exec ${join(binaries, 'launcher')} "$@"\n`)
  await chmod(script, 0o755)
  const command = join(installation, 'dist/client/command/main.js')
  const args = [command, 'doctor', '--attack', '--backend', 'container', '--json']
  // Exit code 1 is the answer hoped for.
  const { stdout, stderr } = await run(process.execPath, args, { maxBuffer: 64 << 20 }).catch((error) => error)
  try {
    const report: Report = JSON.parse(stdout)
    return { wall, by: report.results.filter(({ answer }) => answer === 'broken').map(({ name }) => name), failure: '' }
  } catch {
    return { wall, by: [], failure: String(stderr).trim().slice(-300) }
  }
}

function conclude(rows: Noticed[]): number {
  const [nothing, ...missing] = rows
  const notes = new Map(removals.map(({ wall, behind }) => [wall, behind]))
  const cells = missing.map(({ wall, by, failure }) => [
    wall,
    String(by.length),
    by.join(', ') || failure || `nobody: ${notes.get(wall)}`,
  ])
  process.stdout.write(`\n${table(['left out', 'noticed by', ''], cells)}`)
  const unnoticed = missing.filter(
    ({ wall, by, failure }) => failure !== '' || (by.length === 0 && notes.get(wall) === undefined),
  )
  for (const { wall } of unnoticed) process.stdout.write(`NOT NOTICED: ${wall}\n`)
  const falseAlarm = nothing !== undefined && nothing.by.length > 0
  if (falseAlarm) process.stdout.write(`FALSE ALARM with every wall there: ${nothing.by.join(', ')}\n`)
  return unnoticed.length === 0 && !falseAlarm ? 0 : 1
}

const line = ({ wall, by, failure }: Noticed): string => `without ${wall}: ${by.join(', ') || failure || 'nobody notices'}`

process.exitCode = await main(process.argv.slice(2))
