// Mutates good input of the parsers until the time is up; whatever is thrown but what may be, or takes too long, is a finding.
//
//   node dist/test/fuzz/main.js [--seconds N] [--seed N] [--only TARGET]

import { Command, InvalidArgumentError } from 'commander'
import { mutated, Random } from './mutate.js'
import { type Target, targets } from './targets.js'

/** No input here is larger than some kilobytes. */
const slowMs = 2_000
/** Between two looks at the clock. */
const batch = 200

const integer = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('a number')
  return Number(text)
}

/** Undefined: as it should be. */
async function fault(target: Target, input: Buffer): Promise<string | undefined> {
  const before = process.cpuUsage()
  try {
    await target.parse(input)
  } catch (error) {
    if (!(error instanceof target.mayThrow)) return `${error instanceof Error ? error.stack : error}`
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000 > slowMs ? `took ${(user + system) / 1000} ms` : undefined
}

async function fuzz(name: string, target: Target, seconds: number, random: Random): Promise<number> {
  const end = Date.now() + seconds * 1000
  let count = 0
  while (Date.now() < end) {
    for (let i = 0; i < batch; i++, count++) {
      const input = mutated(target.seeds, random)
      const what = await fault(target, input)
      if (what === undefined) continue
      process.stdout.write(`${name}: ${what}\ninput, base64: ${input.toString('base64')}\n`)
      process.exitCode = 1
      return count
    }
  }
  return count
}

interface Flags {
  seconds: number
  seed: number
  only?: string
}

const { seconds, seed, only } = new Command('fuzz')
  .option('--seconds <n>', 'for all targets together', integer, 60)
  .option('--seed <n>', 'the same one makes the same inputs', integer, Date.now() % 2 ** 32)
  .option('--only <target>', 'one target')
  .parse()
  .opts<Flags>()
const chosen = Object.entries(await targets()).filter(([name]) => only === undefined || name === only)
for (const [name, target] of chosen) {
  const count = await fuzz(name, target, seconds / chosen.length, new Random(seed))
  process.stdout.write(`${name}: ${count} inputs, seed ${seed}\n`)
}
