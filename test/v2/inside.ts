// The side of npm run v2 that runs in the machine, as root, by a unit of systemd.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { release } from 'node:os'
import { results, type Step, steps } from './parts.js'
import type { Result } from './result.js'

const [part, only]: string[] = JSON.parse(await readFile(`${results}/args`, 'utf8'))
const result: Result = {
  kernel: release(),
  cgroups: (await readFile('/proc/mounts', 'utf8')).split('\n').filter((line) => / cgroup2? /.test(line)),
  controllers: (await readFile('/sys/fs/cgroup/cgroup.controllers', 'utf8')).trim(),
  parts: [],
}
process.stdout.write(`Linux ${result.kernel}, ${result.cgroups.join(', ')}: ${result.controllers}\n`)
for (const step of steps(part, only)) {
  process.stdout.write(`== ${step.part}\n`)
  const started = performance.now()
  const exitCode = await run(step)
  result.parts.push({ part: step.part, exitCode, seconds: Math.round((performance.now() - started) / 1000) })
}
// Complete or not there at all: the host looks for it when the machine is off.
await writeFile(`${results}/result.part`, JSON.stringify(result))
await rename(`${results}/result.part`, `${results}/result.json`)

/** Output goes to a file of its part, where the host reads it while it is written. */
async function run({ part, args, env }: Step): Promise<number> {
  const output = openSync(`${results}/${part}.txt`, 'w')
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', output, output],
    env: { ...process.env, ...env },
    cwd: '/suite',
  })
  const [code] = await once(child, 'exit')
  return code ?? 1
}
