// The product attacks itself, and every wall holds: all programs in containers, and in microVMs those that are about the machine and the
// agent, for a machine that is emulated takes seconds for each (npm run attack runs all of them there too).

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Report } from '../../client/attack/attack.js'
import { Fixture } from '../harness/fixture.js'
import { command } from '../harness/instance.js'
import { noMachine } from '../harness/offers.js'

const fixture = await Fixture.start({ args: ['--allow-emulation'] })
const skip = await noMachine(fixture.caisson)

async function doctor(...args: string[]): Promise<{ code: number; report: Report; stderr: string }> {
  const child = spawn(process.execPath, [command, 'doctor', '--attack', '--json', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (data) => {
    stdout += data
  })
  child.stderr.on('data', (data) => {
    stderr += data
  })
  const [code] = await once(child, 'close')
  return { code, report: JSON.parse(stdout || '{}'), stderr }
}

const onService = () => ['--address', fixture.instance.address, '--images', join(fixture.instance.folder, 'images')]

function expectHeld({ code, report, stderr }: Awaited<ReturnType<typeof doctor>>): void {
  const broken = report.results?.filter(({ answer }) => answer === 'broken') ?? []
  assert.deepEqual(broken, [], stderr)
  assert.equal(code, 0, stderr)
}

test('containers hold against the whole corpus, in a service of its own', { timeout: 180_000 }, async () => {
  const ended = await doctor('--backend', 'container')
  expectHeld(ended)
  const attacks = ended.report.results.filter(({ name }) => name !== 'next-client')
  const classes = [...new Set(attacks.map((attack) => attack.class))]
  assert.equal(classes.length, 8)
  for (const name of classes) assert.ok(attacks.filter((attack) => attack.class === name).length >= 3, name)
})

for (const kind of ['the microVM', 'the agent']) {
  test(`microVMs hold: ${kind}`, { timeout: 180_000, skip }, async () => {
    expectHeld(await doctor('--backend', 'microvm', '--only', kind, ...onService()))
  })
}

test('what cannot be attacked is said, and is no success', async () => {
  const unknown = await doctor('--only', 'no-such-attack', ...onService())
  assert.equal(unknown.code, 125)
  assert.match(JSON.parse(unknown.stderr).error.message, /no attack is named "no-such-attack".*classes: host paths/)
  const nowhere = await doctor('--address', fixture.instance.address)
  assert.equal(nowhere.code, 125)
  assert.match(nowhere.stderr, /--images/)
})
