// A worker boots a guest to find out what it can offer, which takes it some seconds; until then it holds a machine that no run asked for.

import { existsSync } from 'node:fs'
import type { Caisson } from '../../client/sdk/caisson.js'
import type { BackendOffer } from '../../client/sdk/model.js'
import { until } from './until.js'

const guest = '/var/cache/caisson/guest/kernel'

export async function knownOffers(caisson: Caisson): Promise<BackendOffer[]> {
  let offers: BackendOffer[] = []
  await until('the worker knows what it can boot', 60_000, async () => {
    offers = (await caisson.workers()).flatMap((worker) => worker.offers)
    return offers.length > 0 && !offers.some(({ unavailable }) => unavailable.startsWith('not known yet'))
  })
  return offers
}

/** Why tests of microVMs are skipped. Where scripts/setup has put what they need, one boots, be it emulated: that none does is a failure. */
export async function noMachine(caisson: Caisson): Promise<string | false> {
  const offer = (await knownOffers(caisson)).find(({ backend }) => backend === 'microvm')
  if (offer?.unavailable === '') return false
  const why = `no microVM here: ${offer?.unavailable}`
  if (existsSync(guest)) throw new Error(why)
  return why
}
