// Runs that are under way while something breaks.

import assert from 'node:assert/strict'
import type { Caisson } from '../../client/sdk/caisson.js'
import type { RunEvent } from '../../client/sdk/model.js'
import { container, describeVerdict, type Finished, finish, sh } from './finish.js'
import { until } from './until.js'

export const small = { cpuMillis: 50, memoryBytes: 16 << 20, diskBytes: 4 << 20 }
const lines = 30

export interface Crowd {
  finished: Promise<Finished>[]
  runIds: string[]
}

/** Says 30 lines in about three seconds. */
export const talk = (exitCode: number): string[] =>
  sh(`i=0; while [ $i -lt ${lines} ]; do echo line $i; i=$((i+1)); sleep 0.1; done; exit ${exitCode}`)

/** Each talks, then exits with its own code. */
export async function crowd(caisson: Caisson, size = 20, retryAfterStart = false): Promise<Crowd> {
  const runIds: string[] = []
  for (let i = 0; i < size; i++) {
    const { runId } = await caisson.submit(
      container({ args: talk(i % 5), limits: small, labels: { crowd: String(i) }, retryAfterStart }),
    )
    runIds.push(runId)
  }
  const finished = runIds.map((runId) => finish(caisson.watch(runId)))
  for (const promise of finished) promise.catch(() => {})
  return { finished, runIds }
}

/** Until `share` of the runs are in RUNNING. */
export async function underWay({ runIds }: Crowd, caisson: Caisson, share = 0.5): Promise<void> {
  await until('the crowd runs', 30_000, async () => {
    const runs = await Promise.all(runIds.map((runId) => caisson.get(runId)))
    return runs.filter(({ state }) => state === 'RUNNING').length >= share * runIds.length
  })
}

/** Whatever happened: one verdict, and an effect that the events bear out. */
export function expectTrueEffect(finished: Finished, mayRunTwice = false): void {
  const { events, verdict } = finished
  const attempts = new Map<number, RunEvent[]>()
  let attempt = 1
  for (const event of events) {
    if (event.type === 'state') attempt = event.attempt
    attempts.set(attempt, [...(attempts.get(attempt) ?? []), event])
  }
  const started = [...attempts.values()].filter((its) => its.some(isStart))
  const text = describeVerdict(finished)
  assert.equal(events.filter(({ type }) => type === 'verdict').length, 1, text)
  if (!mayRunTwice) assert.ok(started.length <= 1, `started in ${started.length} attempts: ${text}`)
  if (verdict.effect === 'NEVER_STARTED') assert.equal(started.length, 0, text)
  if (verdict.effect === 'COMPLETED') {
    assert.equal(verdict.outcome, 'EXITED', text)
    const expected = Array.from({ length: lines }, (_, i) => `line ${i}\n`).join('')
    assert.equal(finished.stdout.toString(), expected, text)
  }
  if (verdict.outcome === 'WORKER_LOST' || verdict.outcome === 'INTERNAL') assert.notEqual(verdict.effect, 'COMPLETED', text)
}

/** STARTING alone says only that it may have. */
const isStart = (event: RunEvent): boolean => event.type === 'output' || (event.type === 'state' && event.state === 'RUNNING')
