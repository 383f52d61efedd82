// caisson show: all that is known of a run.

import type { Command } from 'commander'
import { runJson } from '../sdk/json.js'
import type { Run } from '../sdk/model.js'
import { addConnectFlags, type ConnectFlags, connect } from './connectFlags.js'
import { write, writeJson } from './output.js'
import { printable } from './table.js'
import { usageLine, verdictLine } from './verdictLine.js'

export function addShow(program: Command): void {
  const command = program.command('show').description('all that is known of a run').argument('<run-id>')
  addConnectFlags(command).action((runId: string, _: unknown, self: Command) => show(runId, self.optsWithGlobals<ConnectFlags>()))
}

async function show(runId: string, flags: ConnectFlags): Promise<void> {
  using caisson = connect(flags)
  const run = await caisson.get(runId)
  if (flags.json) return writeJson(runJson(run))
  const lines = Object.entries(facts(run)).filter(([, value]) => value !== undefined && value !== '')
  await write(process.stdout, lines.map(([name, value]) => `${name.padEnd(12)}${printable(String(value))}\n`).join(''))
}

function facts(run: Run): Record<string, string | undefined> {
  const { spec, placement, verdict } = run
  return {
    run: run.runId,
    state: run.state,
    verdict: verdict && verdictLine(verdict),
    effect: verdict?.effect,
    reason: verdict?.reason,
    usage: verdict && usageLine(verdict),
    image: spec.image,
    digest: run.imageDigest,
    entrypoint: spec.entrypoint && JSON.stringify(spec.entrypoint),
    args: JSON.stringify(spec.args),
    env: pairs(spec.env),
    cwd: spec.cwd,
    user: spec.user,
    labels: pairs(spec.labels),
    limits: pairs(Object.fromEntries(Object.entries(run.limits).map(([name, value]) => [name, String(value)]))),
    isolation: spec.isolation,
    placement:
      placement &&
      [placement.backend, placement.vmm, placement.accelerator, `on ${placement.workerId}`].filter(Boolean).join(' '),
    attempt: String(run.attempt),
    submitted: run.submittedAt?.toISOString(),
    started: run.startedAt?.toISOString(),
    ended: run.endedAt?.toISOString(),
  }
}

const pairs = (record: Readonly<Record<string, string>> = {}): string =>
  Object.entries(record)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
