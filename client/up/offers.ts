// What the workers of a service offer, once they know.

import { setTimeout as delay } from 'node:timers/promises'
import type { Caisson } from '../sdk/caisson.js'
import type { BackendOffer } from '../sdk/model.js'

const patienceMs = 60_000
const lookMs = 250

/** A worker boots a guest to find out what it can offer, which takes it some seconds. */
export async function knownOffers(caisson: Caisson, signal: AbortSignal): Promise<BackendOffer[]> {
  for (const deadline = Date.now() + patienceMs; ; await delay(lookMs)) {
    const offers = (await caisson.workers()).flatMap((worker) => worker.offers)
    const isKnown = offers.length > 0 && !offers.some(({ unavailable }) => unavailable.startsWith('not known yet'))
    if (isKnown || signal.aborted || Date.now() > deadline) return offers
  }
}
