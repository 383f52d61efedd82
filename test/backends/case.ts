// One behaviour that every backend must show.

import assert from 'node:assert/strict'
import type { Caisson } from '../../client/sdk/caisson.js'
import type { Input } from '../../client/sdk/input.js'
import type { BackendOffer, RunSpec, Verdict } from '../../client/sdk/model.js'
import { describeVerdict, type Finished } from '../harness/finish.js'

export interface Case {
  name: string
  /** Of a busybox image, unless it names another; the isolation is the backend's. */
  spec: Partial<RunSpec>
  /** Otherwise left out there. */
  offered?: (offer: BackendOffer) => boolean
  /** Written by Attach; the spec then has stdin 'attach'. */
  input?: (input: Input) => Promise<void>
  /** Once the program runs, and wrote its first byte. */
  meanwhile?: (caisson: Caisson, runId: string) => Promise<void>
  expect: (finished: Finished) => void | Promise<void>
}

/** The verdict's fields named here must be equal; the text of a failure shows all of it. */
export function expectVerdict(finished: Finished, expected: Partial<Verdict>): void {
  for (const [field, value] of Object.entries(expected)) {
    assert.deepEqual(finished.verdict[field as keyof Verdict], value, `${field} of ${describeVerdict(finished)}`)
  }
}

export const exited = (finished: Finished, exitCode = 0): void =>
  expectVerdict(finished, { outcome: 'EXITED', exitCode, effect: 'COMPLETED' })

/** What the limits did: seen by the host in a container, reported from inside of a microVM, where the host cannot see it. */
export const evidence = ({ verdict }: Finished) => ({ oomKills: 0, pidsDenied: 0, ...verdict.observed, ...verdict.reported })

/** Processor time of an emulated machine is the emulator's: the same program takes many times as much, and a machine that waits takes some. */
export const emulated = ({ events }: Finished): boolean =>
  events.some((event) => event.type === 'state' && event.placement?.accelerator === 'tcg')

/** Exit code 0, and these words on stdout. */
export const says =
  (expected: string) =>
  (finished: Finished): void => {
    exited(finished)
    assert.equal(finished.stdout.toString().trimEnd(), expected, describeVerdict(finished))
  }
