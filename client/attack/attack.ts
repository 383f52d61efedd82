// Every attack on every wall that a service offers.

import type { Caisson } from '../sdk/caisson.js'
import type { BackendName, BackendOffer } from '../sdk/model.js'
import { knownOffers } from '../up/offers.js'
import type { Canaries } from './canaries.js'
import type { Attack } from './corpus.js'
import { engage, type Field, neighbour } from './engage.js'
import { describe, notApplicable, type Result } from './judge.js'

/** As many at a time: what harms its neighbours has some. A machine is much memory, and where it is emulated, much of a processor. */
const atOnce: Record<BackendName, number> = { container: 3, microvm: 2 }

export interface Report {
  held: number
  broken: number
  notApplicable: number
  /** Walls that were not attacked, and why. */
  absent: { backend: BackendName; why: string }[]
  results: Result[]
}

export interface Battle {
  caisson: Caisson
  corpus: Attack[]
  image: string
  canaries: Canaries
  isHere: boolean
  /** Empty: all that are offered. */
  backends: BackendName[]
  patience: number
  signal: AbortSignal
  tell: (result: Result) => void
}

export async function attackAll(battle: Battle): Promise<Report> {
  const offers = await knownOffers(battle.caisson, battle.signal)
  const wanted = offers.filter(({ backend }) => battle.backends.length === 0 || battle.backends.includes(backend))
  const results: Result[] = []
  for (const offer of wanted) if (offer.unavailable === '') results.push(...(await attackOne(battle, offer)))
  const count = (answer: Result['answer']) => results.filter((result) => result.answer === answer).length
  return {
    held: count('held'),
    broken: count('broken'),
    notApplicable: count('not applicable'),
    absent: wanted.flatMap(({ backend, unavailable }) => (unavailable === '' ? [] : [{ backend, why: unavailable }])),
    results,
  }
}

async function attackOne(battle: Battle, offer: BackendOffer): Promise<Result[]> {
  const { corpus, tell, signal } = battle
  const field: Field = { ...battle, offer }
  const results: Result[] = []
  const left = [...corpus]
  const lane = async () => {
    for (let attack = left.shift(); attack && !signal.aborted; attack = left.shift()) {
      const applies = attack.backends.includes(offer.backend)
      const result = applies ? await engage(field, attack) : notApplicable(attack, offer.backend)
      results.push(result)
      tell(result)
    }
  }
  await Promise.all(Array.from({ length: atOnce[offer.backend] }, lane))
  const last = await afterwards(field)
  tell(last)
  const order = new Map(corpus.map(({ name }, index) => [name, index]))
  return [...results.sort((a, b) => (order.get(a.name) ?? 0) - (order.get(b.name) ?? 0)), last]
}

/** The service still serves. */
async function afterwards(field: Field): Promise<Result> {
  const started = performance.now()
  const { stdout, verdict } = await neighbour(field)
  const holds = verdict.outcome === 'EXITED' && stdout.includes('held:')
  return {
    backend: field.offer.backend,
    class: 'afterwards',
    name: 'next-client',
    answer: holds ? 'held' : 'broken',
    detail: holds ? 'served as before' : `${describe(verdict)} ${stdout.trim()}`,
    tries: 'is a run of another client, after all of these',
    standsFor: 'services that an attack leaves crippled',
    must: 'it finds all that it needs',
    outcome: verdict.outcome,
    ms: Math.round(performance.now() - started),
  }
}
