// kill -9 of agents while 20 runs go: those runs end as ours to answer for, the others do not notice.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { crowd, expectTrueEffect, underWay } from '../harness/crowd.js'
import { run } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { expectSameHoldings, holdings } from '../harness/holdings.js'
import type { Instance } from '../harness/instance.js'
import { processes } from '../harness/processes.js'

const fixture = await Fixture.start()

test('kill -9 of every agent', { timeout: 180_000 }, async () => {
  const { instance, caisson } = fixture
  await run(caisson, { args: ['true'] })
  const before = await holdings(instance)
  const runs = await crowd(caisson)
  await underWay(runs, caisson)
  const agents = await agentsOf(instance)
  assert.ok(agents.length > 0)
  for (const pid of agents) process.kill(pid, 'SIGKILL')
  const finished = await Promise.all(runs.finished)
  for (const one of finished) expectTrueEffect(one)
  assert.ok(finished.some(({ verdict }) => verdict.outcome === 'INTERNAL' && verdict.observed.agentLost))
  assert.equal((await run(caisson, { args: ['true'] })).verdict.outcome, 'EXITED')
  await expectSameHoldings(instance, before)
})

/** The first process of each agent cgroup: the agent's own, as its payload is in another. */
async function agentsOf({ name }: Instance): Promise<number[]> {
  const pids: number[] = []
  for (const { pid } of await processes()) {
    const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
    if (new RegExp(`/caisson-${name}/[^/\n]+[/.]agent$`, 'm').test(groups)) pids.push(pid)
  }
  return pids
}
