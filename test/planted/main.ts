// npm run planted [-- WALL …]: leaves out one wall at a time, and looks whether the hostile programs notice that have to. As root; in containers.
// With --record all programs run, and the table of docs/attack.md is written anew.
//
// Launcher and agent are built apart, with the feature `planted`, by which they can leave out a wall. Everything else is the same.

import { readFile, writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import { type Removal, removals } from './removals.js'
import { Planted } from './service.js'
import { type Noticed, table } from './table.js'

const docs = 'docs/attack.md'
const nothing: Removal = { wall: 'nothing', noticedBy: [...new Set(removals.flatMap(({ noticedBy }) => noticedBy))] }

async function main(walls: string[], record: boolean): Promise<number> {
  const chosen = removals.filter(({ wall }) => walls.length === 0 || walls.includes(wall))
  if (chosen.length === 0) throw new Error(`no such wall; walls: ${removals.map(({ wall }) => wall).join(' ')}`)
  const faults: string[] = []
  const rows: Noticed[] = []
  await using planted = await Planted.build()
  for (const removal of [nothing, ...chosen]) {
    const noticed = await planted.attackWithout(removal, record ? undefined : programsFor(removal, chosen))
    const fault = faultOf(noticed)
    process.stdout.write(`without ${removal.wall}: ${noticed.by.join(', ') || noticed.stopped || 'nobody notices'}\n`)
    if (fault) faults.push(fault)
    if (removal !== nothing) rows.push(noticed)
  }
  if (record && walls.length === 0) await writeTable(rows)
  for (const fault of faults) process.stdout.write(`${fault}\n`)
  return faults.length === 0 ? 0 : 1
}

/** Where nobody can notice, whoever notices something near; and with every wall there, all that run at all. */
function programsFor(removal: Removal, chosen: Removal[]): string[] {
  const all = [...new Set(chosen.flatMap(({ noticedBy }) => noticedBy))]
  if (removal === nothing) return all.length > 0 ? all : nothing.noticedBy
  return removal.noticedBy.length > 0 ? removal.noticedBy : ['capabilities', 'processes', 'agent-binary', 'setuid']
}

function faultOf({ removal, by, why, stopped }: Noticed): string | undefined {
  const { wall, noticedBy, stops } = removal
  if (removal === nothing) {
    return by.length > 0 || stopped ? `FALSE ALARM with every wall there: ${why.join('; ')}${stopped}` : undefined
  }
  if (stops) return stopped ? undefined : `SANDBOXES START without ${wall}`
  if (stopped) return `NO SANDBOX STARTS without ${wall}: ${stopped}`
  const missed = noticedBy.filter((name) => !by.includes(name))
  return missed.length > 0 ? `NOT NOTICED: ${wall}, by ${missed.join(', ')}` : undefined
}

/** Between its two marks. */
async function writeTable(rows: Noticed[]): Promise<void> {
  const text = await readFile(docs, 'utf8')
  const [before, , after] = text.split(/^<!-- (?:planted|\/planted) -->\n/m)
  if (after === undefined) throw new Error(`${docs} has no marks <!-- planted --> and <!-- /planted -->`)
  await writeFile(docs, `${before}<!-- planted -->\n${table(rows)}<!-- /planted -->\n${after}`)
}

const command = new Command('planted')
  .argument('[walls...]', 'only these')
  .option('--record', `run all programs, and write the table of ${docs}`)
  .parse()
process.exitCode = await main(command.args, command.opts<{ record?: boolean }>().record === true)
