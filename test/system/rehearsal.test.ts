// A machine that waits tries out what a run will ask of it, and nothing of that is left for the run to see. It says so on its console, which
// machines have with --debug.

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { finish, sh } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { busybox } from '../harness/images.js'
import { noMachine } from '../harness/offers.js'
import { until } from '../harness/until.js'

const { instance, caisson } = await Fixture.start({ args: ['--allow-emulation', '--debug'] })
const folder = join(instance.folder, 'state/consoles')
const skip = await noMachine(caisson)

/** Consoles on which a machine told that it has. */
async function rehearsed(): Promise<string[]> {
  const names = await readdir(folder)
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'latin1')))
  return names.filter((_, index) => texts[index]?.includes('caisson-agent: has rehearsed'))
}

test('a machine that waits rehearses, and the run that takes it finds nothing of that', { skip, timeout: 120_000 }, async () => {
  let consoles: string[] = []
  await until('the machine that waits has rehearsed', 60_000, async () => {
    consoles = await rehearsed()
    return consoles.length > 0
  })
  const script = 'ls -A /; hostname; cat /proc/self/cgroup; cat /proc/mounts; dmesg'
  const { runId, verdict, stdout } = await finish(
    caisson.run({ image: busybox, isolation: 'MICROVM_REQUIRED', args: sh(script) }),
  )
  assert.equal(verdict.outcome, 'EXITED')
  assert.doesNotMatch(stdout.toString(), /rehears/)
  const taken = instance
    .log()
    .split('\n')
    .find((line) => line.includes(`"runId":"${runId}"`) && line.includes('"console":'))
  assert.ok(
    consoles.some((name) => taken?.includes(name)),
    `${consoles.join()} rehearsed, and the run had ${taken}`,
  )
})
