// caisson up --debug: what a guest says on its console is for the operator, whatever it is, and never for the client. The guest is the
// attacker's (test/harness/hostile/guest.c).

import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { finish } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { hostileGuest } from '../harness/hostile.js'
import { busybox } from '../harness/images.js'
import { noMachine } from '../harness/offers.js'
import { until } from '../harness/until.js'

const mib = 1 << 20
const { instance, caisson } = await Fixture.start({}, () => hostileGuest('--debug'))
const folder = join(instance.folder, 'state/consoles')
const skip = await noMachine(caisson)

async function attack(name: string) {
  const limits = { memoryBytes: 64 * mib, diskBytes: 16 * mib, wallMs: 10_000 }
  return finish(caisson.run({ image: busybox, args: [name], isolation: 'MICROVM_REQUIRED', limits }))
}

/** Where the worker says that the console of a run is kept. */
function consoleOf(runId: string): string {
  const line = instance
    .log()
    .split('\n')
    .find((line) => line.includes(`"runId":"${runId}"`) && line.includes('"console":'))
  return JSON.parse(line ?? '{}').console
}

test('the file has the boot, and nothing that a terminal obeys', { skip, timeout: 120_000 }, async () => {
  const { runId, verdict, stdout, stderr } = await attack('console')
  assert.equal(verdict.outcome, 'EXITED')
  assert.deepEqual([stdout.length, stderr.length], [0, 0])
  const path = consoleOf(runId)
  assert.equal(path, join(folder, path.slice(folder.length + 1)))
  const text = await readFile(path, 'latin1')
  assert.match(text, /Linux version/)
  assert.match(text, /\\x1b\]0;owned\\x07\\x1b\[2J\{"level":"error"\}\n/)
  assert.match(text, /^[\n\t -~]*$/)
  for (const name of await readdir(folder)) assert.equal((await stat(join(folder, name))).mode & 0o777, 0o640)
})

test('a panic stands in the log of the worker, beside the run', { skip, timeout: 120_000 }, async () => {
  const { runId, verdict } = await attack('panic')
  assert.equal(verdict.outcome, 'INTERNAL')
  assert.doesNotMatch(verdict.message, /panic|sysrq/i)
  const said = () =>
    instance
      .log()
      .split('\n')
      .find((line) => line.includes(runId) && line.includes('"level":"error"'))
  await until('the worker has logged it', 5_000, () => said() !== undefined)
  assert.match(JSON.parse(said() ?? '{}').cause, /the guest's console, .*, ends with:\n(.|\n)*sysrq: Trigger a crash/)
})
