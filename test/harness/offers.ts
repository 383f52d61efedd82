// A worker boots a guest to find out what it can offer, which takes it some seconds; until then it holds a machine that no run asked for.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Caisson } from '../../client/sdk/caisson.js'
import type { BackendOffer } from '../../client/sdk/model.js'
import { guest } from './images.js'
import { until } from './until.js'

export async function knownOffers(caisson: Caisson): Promise<BackendOffer[]> {
  let offers: BackendOffer[] = []
  await until('the worker knows what it can boot', 60_000, async () => {
    offers = (await caisson.workers()).flatMap((worker) => worker.offers)
    return offers.length > 0 && !offers.some(({ unavailable }) => unavailable.startsWith('not known yet'))
  })
  return offers
}

/** Of microVMs: undefined where a worker has none of that kind. */
export async function machineOffer(caisson: Caisson): Promise<BackendOffer | undefined> {
  return (await knownOffers(caisson)).find(({ backend }) => backend === 'microvm')
}

/** Why tests of microVMs are skipped. Where scripts/setup has put what they need, one boots, be it emulated: that none does is a failure. */
export async function noMachine(caisson: Caisson): Promise<string | false> {
  const offer = await machineOffer(caisson)
  if (offer?.unavailable === '') return false
  const why = `no microVM here: ${offer?.unavailable}`
  if (existsSync(join(guest, 'kernel'))) throw new Error(why)
  return why
}
