// caisson ps: runs, newest first.

import { type Command, Option } from 'commander'
import { runJson } from '../sdk/json.js'
import type { Run, State } from '../sdk/model.js'
import { addConnectFlags, type ConnectFlags, connect } from './connectFlags.js'
import { write, writeJson } from './output.js'
import { collectPair, parseCount, showMicros } from './quantity.js'
import { shorten, table } from './table.js'

type PsFlags = ConnectFlags & { state?: Lowercase<State>[]; label?: Record<string, string>; limit: number }

const states = ['queued', 'preparing', 'starting', 'running', 'ended']

export function addPs(program: Command): void {
  const command = program.command('ps').description('list runs, newest first')
  command.addOption(new Option('--state <states...>', 'only these').choices(states))
  command.option('-l, --label <name=value>', 'only with this label (repeat)', collectPair)
  command.option('--limit <n>', 'at most so many, 0 for all', parseCount, 20)
  addConnectFlags(command).action((_: unknown, self: Command) => ps(self.optsWithGlobals<PsFlags>()))
}

async function ps(flags: PsFlags): Promise<void> {
  using caisson = connect(flags)
  const states = flags.state?.map((state) => state.toUpperCase() as State)
  const listed = caisson.list({
    ...(states && { states }),
    ...(flags.label && { labels: flags.label }),
    pageSize: Math.min(flags.limit || 1000, 1000),
  })
  const rows: string[][] = []
  let count = 0
  for await (const run of listed) {
    if (flags.json) await writeJson(runJson(run))
    else rows.push(row(run))
    if (++count === flags.limit) break
  }
  if (!flags.json) await write(process.stdout, table(['RUN', 'STATE', 'END', 'AGE', 'IMAGE', 'COMMAND'], rows))
}

function row({ runId, state, verdict, submittedAt, spec }: Run): string[] {
  const code = verdict?.exitCode ?? verdict?.signal
  const end = verdict ? `${verdict.outcome}${code === undefined ? '' : ` ${code}`}` : ''
  const age = submittedAt ? showMicros((Date.now() - submittedAt.getTime()) * 1000) : ''
  return [
    runId,
    state,
    end,
    age,
    shorten(spec.image, 40),
    shorten([...(spec.entrypoint ?? []), ...(spec.args ?? [])].join(' '), 40),
  ]
}
