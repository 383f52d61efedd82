// npm run soak: the system tests at their full length, and those in which something dies again and again.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'

const full = {
  CAISSON_TEST_MACHINES_IN_A_ROW: '500',
  CAISSON_TEST_MACHINE_LANES: '8x10',
  CAISSON_TEST_MACHINES_IDLE_MS: '30000',
  CAISSON_TEST_IN_A_ROW: '2000',
  CAISSON_TEST_AT_ONCE: '200',
  CAISSON_TEST_INPUT_MIB: '1024',
}
/** Once: each of them takes as long as a round of the others. */
const atFirst = { CAISSON_TEST_KILLS: '50' }
const rounds = Number(process.env['CAISSON_SOAK_ROUNDS'] ?? 10)

const folder = 'dist/test/system'
const all = (await readdir(folder)).filter((name) => name.endsWith('.test.js')).map((name) => `${folder}/${name}`)
const again = all.filter((path) => /kill_|redis_away|watch_resume|drain|no_worker/.test(path))

let failed = (await testRun(['dist/test/backends/backends.test.js', ...all], atFirst)) ? 0 : 1
for (let round = 1; round <= rounds; round++) {
  process.stdout.write(`soak: round ${round} of ${rounds}\n`)
  if (!(await testRun(again))) failed++
}
process.stdout.write(`soak: ${rounds + 1 - failed} rounds passed, ${failed} failed\n`)
process.exitCode = failed === 0 ? 0 : 1

async function testRun(files: string[], more: NodeJS.ProcessEnv = {}): Promise<boolean> {
  const args = ['--test', '--test-reporter=spec', '--test-concurrency=1', ...files]
  const [code] = await once(
    spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...full, ...more } }),
    'exit',
  )
  return code === 0
}
