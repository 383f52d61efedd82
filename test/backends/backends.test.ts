// The table of behaviours, on every backend that this machine's worker offers.

import process from 'node:process'
import { describe, test } from 'node:test'
import type { BackendName, RunSpec } from '../../client/sdk/model.js'
import { container, finish } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { granting } from '../harness/grants.js'
import { knownOffers } from '../harness/offers.js'
import { slowness } from '../harness/slowness.js'
import { until } from '../harness/until.js'
import { account } from './account.js'
import type { Case } from './case.js'
import { exits } from './exits.js'
import { limits } from './limits.js'
import { narrow } from './narrow.js'
import { process as processes } from './process.js'
import { streams } from './streams.js'
import { walls } from './walls.js'

const table: Record<string, Case[]> = { exits, streams, limits, process: processes, walls, narrow, account }
const isolation: Record<BackendName, RunSpec['isolation']> = { container: 'CONTAINER', microvm: 'MICROVM_REQUIRED' }

const fixture = await Fixture.start({}, granting('CAP_NET_BIND_SERVICE'))
const offers = await knownOffers(fixture.caisson)
const offered = new Set(offers.flatMap(({ backend, unavailable }) => (unavailable === '' ? [backend] : [])))

/** CAISSON_TEST_BACKEND=microvm: one column of the table. */
const columns = (Object.keys(isolation) as BackendName[]).filter((backend) =>
  backend.includes(process.env['CAISSON_TEST_BACKEND'] ?? ''),
)

for (const backend of columns) {
  if (!offered.has(backend)) {
    test(backend, { skip: `this worker offers no ${backend}` }, () => {})
    continue
  }
  for (const [topic, cases] of Object.entries(table)) {
    describe(`${backend}, ${topic}`, () => {
      for (const behaviour of cases) {
        const skip = behaviour.offered && !offers.some((offer) => offer.backend === backend && behaviour.offered?.(offer))
        test(behaviour.name, { timeout: 120_000 * slowness, skip: skip ?? false }, async () => {
          const limits = { wallMs: 60_000 * slowness, ...behaviour.spec.limits }
          const spec = { ...container(behaviour.spec), limits, isolation: isolation[backend] ?? 'CONTAINER' }
          await behaviour.expect(await perform(behaviour, spec))
        })
      }
    })
  }
}

async function perform({ input, meanwhile }: Case, spec: RunSpec) {
  const { caisson } = fixture
  const { runId } = await caisson.submit(spec)
  const finished = finish(caisson.watch(runId))
  // A failure below is told before this one is looked at.
  finished.catch(() => {})
  if (input) await input(caisson.attach(runId))
  if (meanwhile) {
    await until('the program wrote something', 30_000, async () => {
      for await (const event of caisson.watch(runId)) if (event.type === 'output' || event.type === 'verdict') return true
      return false
    })
    await meanwhile(caisson, runId)
  }
  return finished
}
