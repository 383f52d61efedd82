// npm run bench: what Caisson's promises of speed are worth on this machine, beside others measured in the same run.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { guest as usualGuest } from '../test/harness/images.js'
import { Bench, type Row } from './bench.js'
import { chart } from './chart.js'
import { judge, type Result } from './result.js'
import { firstUse } from './rows/image.js'
import { apart, latency, pipelines } from './rows/latency.js'
import { machines } from './rows/machines.js'
import { manyMachines } from './rows/manyMachines.js'
import { idleMemory } from './rows/memory.js'
import { noise } from './rows/noise.js'
import { output } from './rows/output.js'
import { pulls } from './rows/pull.js'
import { throughput } from './rows/throughput.js'
import { latencyWhileOthersWait } from './rows/waiting.js'
import { table } from './table.js'

const resultsPath = 'bench/results.json'
const chartPath = 'docs/latency.svg'

// The one with 100,000 waiting leaves them there: last of those that share a service.
const rows: Row[] = [
  idleMemory,
  latency,
  apart,
  pipelines,
  throughput,
  output,
  ...noise,
  latencyWhileOthersWait,
  firstUse,
  pulls,
  machines,
  manyMachines,
]

interface Flags {
  only?: string
  samples: number
  guest: string
}

async function main({ only, samples, guest }: Flags): Promise<void> {
  const chosen = rows.filter(({ ids }) => only === undefined || ids.includes(only))
  if (chosen.length === 0) throw new Error(`no row "${only}"; there are ${rows.flatMap(({ ids }) => ids).join(', ')}`)
  await using bench = new Bench(samples, guest)
  const results: Result[] = []
  for (const row of chosen) {
    bench.say(row.ids.join(', '))
    results.push(...(await row.measure(bench)).map(judge))
  }
  process.stdout.write(`${table(results)}\n`)
  await keep(results)
  if (bench.latencies.size > 0) await writeFile(chartPath, chart(bench.latencies))
}

/** A row that was not measured now keeps its last figures. */
async function keep(results: Result[]): Promise<void> {
  const known: Result[] = JSON.parse(await readFile(resultsPath, 'utf8').catch(() => '[]'))
  const byId = new Map([...known, ...results].map((result) => [result.id, result]))
  const ordered = rows.flatMap(({ ids }) => ids.flatMap((id) => byId.get(id) ?? []))
  await writeFile(resultsPath, `[\n${ordered.map((result) => `  ${JSON.stringify(result)}`).join(',\n')}\n]\n`)
}

function parseSamples(text: string): number {
  const samples = Number(text)
  if (!Number.isInteger(samples) || samples < 1) throw new InvalidArgumentError('a number from 1')
  return samples
}

/** Everything temporary is below one folder, which goes with us, interrupted or not. */
function workInOneFolder(): void {
  const folder = mkdtempSync(join(tmpdir(), 'caisson-bench-'))
  chmodSync(folder, 0o755)
  process.env['TMPDIR'] = folder
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
}

workInOneFolder()
const program = new Command('bench')
  .description('Measures Caisson beside its peers; needs root and a quiet machine.')
  .option('--only <id>', 'one row, and those that are measured with it')
  .option('--samples <n>', 'behind each median; fewer than 50 are for a quick look', parseSamples, 50)
  .option('--guest <folder>', 'whose kernel microVMs boot, as that of caisson up', usualGuest)
  .action((flags: Flags) => main(flags))
await program.parseAsync()
