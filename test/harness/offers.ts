// A worker boots a guest to find out what it can offer, which takes it some seconds; until then it holds a machine that no run asked for.

import type { Caisson } from '../../client/sdk/caisson.js'
import type { BackendOffer } from '../../client/sdk/model.js'
import { until } from './until.js'

export async function knownOffers(caisson: Caisson): Promise<BackendOffer[]> {
  let offers: BackendOffer[] = []
  await until('the worker knows what it can boot', 60_000, async () => {
    offers = (await caisson.workers()).flatMap((worker) => worker.offers)
    return offers.length > 0 && !offers.some(({ unavailable }) => unavailable.startsWith('not known yet'))
  })
  return offers
}
