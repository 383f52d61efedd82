// npm run abuse: kernel self-tests, stress-ng and trinity behind every wall of this machine, and the host compared before and after. As root.
//
//   node dist/test/abuse/main.js [--seconds N] [--backend NAME]

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { BackendName } from '../../client/sdk/model.js'
import { describeVerdict, type Finished, run } from '../harness/finish.js'
import { expectSameHost, lookAtHost } from '../harness/host.js'
import { Instance } from '../harness/instance.js'
import { knownOffers } from '../harness/offers.js'
import { type Achieved, type Program, programs } from './programs.js'

/** What a kernel says that came to harm, or was led where it must not go. A mere trace is none: a limit of memory that is kept leaves one. */
const harm =
  /\b(?:BUG:|WARNING:|Oops|[Pp]anic|general protection|stalls?\b|blocked for more than|KASAN|UBSAN|soft lockup|[Bb]ad page|EXT4-fs error)/
/** What a file system remarks of itself, and goes on: shown, for a reader to judge. */
const remark = /\bwarning\b/i

/** Of a program that is begun again, in seconds. */
const shortest = 5

interface Flags {
  seconds: number
  backend?: BackendName
}

async function main({ seconds, backend }: Flags): Promise<number> {
  const [host, log] = [await lookAtHost(), await kernelLog()]
  const instance = await Instance.start({ args: ['--allow-emulation'] })
  const faults: string[] = []
  try {
    const offers = await knownOffers(instance.caisson)
    const walls = offers.filter((offer) => offer.unavailable === '' && (backend === undefined || offer.backend === backend))
    if (walls.length === 0) throw new Error('there is no wall to try')
    for (const wall of walls) faults.push(...(await abuse(instance, wall.backend, seconds / walls.length)))
  } finally {
    await instance.stop()
  }
  await expectSameHost(host, [instance.name]).catch((error: Error) => faults.push(error.message))
  const said = (await kernelLog()).filter((line) => !log.includes(line))
  const harmful = said.filter((line) => harm.test(line))
  faults.push(...harmful.map((line) => `the kernel: ${line}`))
  process.stdout.write(`the kernel said ${said.length} lines, ${harmful.length} of harm\n`)
  for (const line of said) if (remark.test(line) && !harm.test(line)) process.stdout.write(`  ${line}\n`)
  for (const fault of faults) process.stdout.write(`FAULT ${fault}\n`)
  return faults.length === 0 ? 0 : 1
}

/** The programs share the time, each begun again until its share is over: some are ended early, by a limit that they ran into. */
async function abuse(instance: Instance, backend: BackendName, seconds: number): Promise<string[]> {
  const faults: string[] = []
  for (const program of programs) {
    const share = seconds * program.share
    const deadline = Date.now() + share * 1000
    const runs: Achieved[] = []
    for (let left = share; left > 0; left = (deadline - Date.now()) / 1000)
      runs.push(await once(instance, backend, program, Math.max(shortest, Math.ceil(left)), faults))
    const most = runs.reduce((one, other) => (other.count > one.count ? other : one))
    for (const detail of most.details) process.stdout.write(`  ${detail}\n`)
    if (most.count === 0) faults.push(`${backend} ${program.name} did nothing in ${runs.length} runs`)
  }
  return faults
}

/** Whatever becomes of it, the service gives a verdict of its own, and serves the next. */
async function once(
  instance: Instance,
  backend: BackendName,
  program: Program,
  seconds: number,
  faults: string[],
): Promise<Achieved> {
  const finished = await torment(instance, backend, program, seconds)
  const { outcome, usage } = finished.verdict
  const ran = `${Math.round((usage.wallUs ?? 0) / 1e6)} s`
  const achieved = program.read(finished.stdout.toString('latin1'))
  process.stdout.write(`${backend} ${program.name}: ${outcome} after ${ran}; ${achieved.sum}\n`)
  faults.push(...achieved.faults.map((fault) => `${backend} ${program.name} ${fault}`))
  if (['INTERNAL', 'WORKER_LOST'].includes(outcome)) faults.push(`${backend} ${program.name}: ${describeVerdict(finished)}`)
  const next = await run(instance.caisson, { args: ['true'] })
  if (next.verdict.exitCode !== 0) faults.push(`after ${backend} ${program.name}: ${describeVerdict(next)}`)
  return achieved
}

function torment({ caisson }: Instance, backend: BackendName, program: Program, seconds: number): Promise<Finished> {
  const wallMs = (seconds + 30) * 1000
  return run(caisson, {
    image: program.image,
    args: ['sh', '-c', program.script(seconds)],
    user: program.user,
    isolation: backend === 'container' ? 'CONTAINER' : 'MICROVM_REQUIRED',
    limits: { wallMs, cpuMs: wallMs, memoryBytes: 1 << 30, pids: 512, diskBytes: 256 << 20, outputBytes: 64 << 20 },
    retentionMs: 60_000,
  })
}

async function kernelLog(): Promise<string[]> {
  const { stdout } = await promisify(execFile)('dmesg', ['--level', 'emerg,alert,crit,err,warn'], { maxBuffer: 64 << 20 })
  return stdout.split('\n').filter((line) => line !== '')
}

const whole = (text: string): number => {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('a number of seconds')
  return Number(text)
}

process.exitCode = await main(
  new Command('abuse')
    .option('--seconds <n>', 'for all walls together', whole, 600)
    .addOption(new Option('--backend <name>', 'only this wall').choices(['container', 'microvm']))
    .parse()
    .opts<Flags>(),
)
