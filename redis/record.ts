// The record of a run: fields of a Redis hash, and the caisson.v1.Run that clients see.
//
//   state attempt queue spec limits submitted retention        from the submit on
//   deadline idempotency stdin credential                                 where the spec asks for them
//   token worker placement                                     while an attempt has the run
//   image started out1 out2 truncated                          of the present attempt (out: bytes of each stream recorded so far)
//   sent taken closed cancel                                   what the client sent
//   verdict ended sealed                                       after the end
//   receipt                                                     and where a worker ended it
import { caisson } from '../proto/messages.js'
import { isStateName, type StateName, stateNumber } from '../proto/state.js'
import { timestamp } from './events.js'

const { Limits, Placement, Run, RunSpec, Verdict } = caisson.v1

export type RecordFields = Record<string, Buffer>

/** Undefined where there is no record. */
export function decodeRecord(runId: string, fields: RecordFields): caisson.v1.Run | undefined {
  const { state, spec, limits, placement, verdict, image } = fields
  if (!state || !spec || !limits) return undefined
  return new Run({
    runId,
    spec: RunSpec.decode(spec),
    limits: Limits.decode(limits),
    state: stateNumber(stateName(state)),
    attempt: Number(fields['attempt']),
    submittedAt: timestamp(Number(fields['submitted'])),
    ...time('startedAt', fields['started']),
    ...time('endedAt', fields['ended']),
    ...(placement && { placement: Placement.decode(placement) }),
    ...(image && { imageDigest: image.toString() }),
    ...(verdict && { verdict: Verdict.decode(verdict) }),
  })
}

const time = (name: string, field: Buffer | undefined) => (field ? { [name]: timestamp(Number(field)) } : {})

export function stateName(field: Buffer): StateName {
  const name = field.toString()
  if (!isStateName(name)) throw new Error(`a record holds the state ${JSON.stringify(name)}`)
  return name
}
