// npm run demo: a service of its own, real images, and a dozen programs on every backend that this machine has.

import { showMicros } from '../command/quantity.js'
import { Caisson } from '../sdk/caisson.js'
import type { BackendOffer, Isolation } from '../sdk/model.js'
import { knownOffers } from '../up/offers.js'
import { Stops } from '../up/stops.js'
import { TemporaryService } from '../up/temporary.js'
import { cases, specOf, surprise } from './cases.js'
import { say, showRun } from './show.js'

/** Filled by scripts/images. */
const imageFolder = '/var/cache/caisson/images'

const isolationOf = { container: 'CONTAINER', microvm: 'MICROVM_REQUIRED' } as const satisfies Record<string, Isolation>

async function main(): Promise<number> {
  if (process.getuid?.() !== 0) throw new Error('the demo must be root, as "caisson up" must')
  const stops = new Stops()
  const options = { purpose: 'demo', images: imageFolder, workerArgs: ['--allow-emulation'] }
  await using demo = await TemporaryService.start(options, stops)
  say(`\nA service of its own is ready at ${demo.address}; ${demo.service.redisPromise}.`)
  using caisson = Caisson.connect({ address: demo.address })
  const offers = await knownOffers(caisson, stops.first)
  const surprises: string[] = []
  for (const offer of offers) {
    if (stops.first.aborted) break
    if (offer.unavailable !== '') say(`\n== ${offer.backend}: not here: ${offer.unavailable}`)
    else surprises.push(...(await unlessStopped(stops, runAll(caisson, offer, stops.first))))
  }
  return conclude(surprises, offers, stops)
}

async function runAll(
  caisson: Caisson,
  { backend, vmm, accelerator, counts }: BackendOffer,
  signal: AbortSignal,
): Promise<string[]> {
  say(`\n== ${[backend, vmm, accelerator].filter(Boolean).join(' ')}${counts ? '' : ' (emulated: no security boundary)'}`)
  const surprises: string[] = []
  for (const demoCase of cases) {
    if (signal.aborted) break
    say(`\n  A program that ${demoCase.title}  [${demoCase.image}]`)
    const started = performance.now()
    const { verdict, output } = await showRun(caisson.run(specOf(demoCase, imageFolder, isolationOf[backend]), { signal }))
    const wrong = surprise(demoCase, verdict, output)
    say(
      `    ${wrong ? `NOT AS EXPECTED: ${wrong}` : 'as expected'}, ${showMicros(Math.round((performance.now() - started) * 1000))} from submit to verdict`,
    )
    if (wrong) surprises.push(`${backend}: ${demoCase.title}: ${wrong}, was ${verdict.outcome}`)
  }
  return surprises
}

/** Ctrl-C is no failure of a run. */
async function unlessStopped(stops: Stops, surprises: Promise<string[]>): Promise<string[]> {
  try {
    return await surprises
  } catch (error) {
    if (stops.first.aborted) return []
    throw error
  }
}

function conclude(surprises: string[], offers: BackendOffer[], stops: Stops): number {
  if (stops.first.aborted) return 130
  const backends = offers.filter(({ unavailable }) => unavailable === '').map(({ backend }) => backend)
  if (backends.length === 0) surprises.push('no backend works here: see "npx caisson doctor"')
  if (surprises.length === 0) say(`\nAll ${cases.length} programs ended as expected (${backends.join(', ')}).`)
  for (const line of surprises) say(`\nNOT AS EXPECTED: ${line}`)
  return surprises.length === 0 ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
