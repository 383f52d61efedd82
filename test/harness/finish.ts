// A run watched to its end.

import type { Caisson } from '../../client/sdk/caisson.js'
import type { FollowedRun } from '../../client/sdk/followed.js'
import type { RunEvent, RunSpec, Verdict } from '../../client/sdk/model.js'
import { busybox } from './images.js'
import { until } from './until.js'

export interface Finished {
  runId: string
  stdout: Buffer
  stderr: Buffer
  verdict: Verdict
  events: RunEvent[]
}

/** Every event, with each stream's bytes put together; a gap or a doubled byte is an error. */
export async function finish(run: FollowedRun): Promise<Finished> {
  const events: RunEvent[] = []
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
  const next = { stdout: 0, stderr: 0 }
  let attempt = 0
  let verdict: Verdict | undefined
  for await (const event of run) {
    events.push(event)
    if (verdict) throw new Error(`${event.type} after the verdict`)
    if (event.type === 'verdict') verdict = event.verdict
    if (event.type !== 'output') continue
    if (event.attempt !== attempt) {
      attempt = event.attempt
      for (const stream of ['stdout', 'stderr'] as const) {
        chunks[stream] = []
        next[stream] = 0
      }
    }
    if (event.offset !== next[event.stream])
      throw new Error(`${event.stream}: offset ${event.offset}, expected ${next[event.stream]}`)
    next[event.stream] += event.data.length
    chunks[event.stream].push(event.data)
  }
  if (!verdict) throw new Error('the events ended without a verdict')
  return {
    runId: events[0]?.runId ?? '',
    stdout: Buffer.concat(chunks.stdout),
    stderr: Buffer.concat(chunks.stderr),
    verdict,
    events,
  }
}

/** Runs a spec in a busybox container, unless it says otherwise. */
export function run(caisson: Caisson, spec: Partial<RunSpec>): Promise<Finished> {
  return finish(caisson.run(container(spec)))
}

export function container(spec: Partial<RunSpec>): RunSpec {
  return { image: busybox, isolation: 'CONTAINER', ...spec }
}

/** A shell script as args. */
export const sh = (script: string): string[] => ['sh', '-c', script]

export function describeVerdict({ verdict, stderr }: Finished): string {
  return `${JSON.stringify(verdict)}\nstderr: ${stderr.subarray(0, 2000)}`
}

/** A run whose shell has begun; it does the rest, and ends, once it is let. */
export async function begun(caisson: Caisson, spec: Partial<RunSpec>, rest = 'true'): Promise<() => Promise<Finished>> {
  const { runId } = await caisson.submit(container({ ...spec, args: sh(`cat; ${rest}`), stdin: 'attach' }))
  await until('the run has begun', 30_000, async () => (await caisson.get(runId)).state === 'RUNNING')
  return async () => {
    await caisson.attach(runId).end()
    return finish(caisson.watch(runId))
  }
}
