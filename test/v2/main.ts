// npm run v2 [-- PART [WORD]]: boots an emulated Debian 12 with cgroup v2 alone, and runs the doctor, the test of labels, the table of
// behaviours in containers and the attack in there. PART: doctor, labels, behaviours or attack; WORD: only cases or attacks with it. As root;
// scripts/machine made the disk.
//
// It takes most of an hour, at a low priority, and leaves what was found in target/v2/results.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { partNames, type Result } from './result.js'
import { packSuite } from './suite.js'
import { boot } from './vm.js'

const folder = resolve('target/v2')
const results = `${folder}/results`

async function main(args: string[]): Promise<number> {
  const [part] = args
  if (part !== undefined && !partNames.some((name) => name === part))
    throw new Error(`no part "${part}": ${partNames.join(', ')}`)
  await rm(folder, { recursive: true, force: true })
  await mkdir(results, { recursive: true })
  await writeFile(`${results}/args`, JSON.stringify(args))
  const disks = await packSuite(folder)
  await boot({ disks, results, console: `${folder}/console` })
  await Promise.all(disks.map((disk) => rm(disk)))
  return conclude()
}

async function conclude(): Promise<number> {
  const text = await readFile(`${results}/result.json`, 'utf8').catch(() => undefined)
  if (text === undefined) {
    process.stderr.write(`the machine ended without a result; ${folder}/console and ${results}/log tell more\n`)
    return 1
  }
  const { kernel, cgroups, controllers, parts }: Result = JSON.parse(text)
  process.stdout.write(`\nLinux ${kernel}; ${cgroups.join('; ')}; controllers ${controllers}\n`)
  for (const { part, exitCode, seconds } of parts) {
    const summary = await summaryOf(part)
    process.stdout.write(`${part}: ${exitCode === 0 ? 'passed' : `FAILED (exit code ${exitCode})`}, ${seconds} s${summary}\n`)
  }
  process.stdout.write(`all of it: ${results}\n`)
  return parts.every(({ exitCode }) => exitCode === 0) ? 0 : 1
}

/** The counts that the part itself closes with. */
async function summaryOf(part: string): Promise<string> {
  const text = await readFile(`${results}/${part}.txt`, 'utf8')
  const counts = [...text.matchAll(/^ℹ (pass|fail|skipped) (\d+)$/gm)].map(([, what, count]) => `${count} ${what}`)
  const attack = /^\d+ held, \d+ broken, \d+ not applicable$/m.exec(text)?.[0]
  return [...counts, ...(attack ? [attack] : [])].map((count, index) => `${index === 0 ? ': ' : ', '}${count}`).join('')
}

process.exitCode = await main(process.argv.slice(2))
