// One attack on one wall, through the public API.

import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Caisson } from '../sdk/caisson.js'
import type { BackendOffer, Isolation, Limits, RunSpec } from '../sdk/model.js'
import type { Canaries } from './canaries.js'
import type { Attack } from './corpus.js'
import { judge, type Result, type Seen } from './judge.js'

/** Emulated code takes 10 to 20 times as long. */
const emulatedSlowness = 15

const leftoversMs = 10_000
const keptBytes = 64 << 10

export interface Field {
  caisson: Caisson
  offer: BackendOffer
  /** Reference of the images without a tag. */
  image: string
  canaries: Canaries
  /** The worker is on this host: what a run leaves behind shows in /proc. */
  isHere: boolean
  /** A slow machine gives the programs this many times as long. */
  patience: number
  signal: AbortSignal
}

export async function engage(field: Field, attack: Attack): Promise<Result> {
  const word = randomBytes(8).toString('hex')
  const started = performance.now()
  const seen = await watch(field, attack, word)
  const leftovers = field.isHere ? await leftBehind(word, field.patience) : []
  const harm = [...(await field.canaries.harm()), ...leftovers]
  return judge(attack, field.offer.backend, { ...seen, harm, ms: Math.round(performance.now() - started) })
}

/** A run of another client. */
export async function neighbour(field: Field): Promise<Pick<Seen, 'stdout' | 'verdict'>> {
  const word = randomBytes(8).toString('hex')
  const limits = { wallMs: 20_000, memoryBytes: 128 << 20, diskBytes: 32 << 20, pids: 32, openFiles: 256 }
  const spec = specOf(field, ['/attack', 'neighbour'], 'plain', limits, await field.canaries.hints(word))
  return follow(field, spec)
}

async function watch(field: Field, attack: Attack, word: string): Promise<Omit<Seen, 'harm' | 'ms'>> {
  const args = ['/attack', 'run', attack.name, word]
  const spec = specOf(field, args, attack.image, attack.limits, await field.canaries.hints(word))
  const withUser = attack.user === '' ? spec : { ...spec, user: attack.user }
  let neighbours: Pick<Seen, 'stdout' | 'verdict'> | undefined
  const seen = await follow(field, withUser, async (runId) => {
    neighbours = await neighbour(field)
    await field.caisson.cancel(runId)
  })
  return { ...seen, ...(neighbours && { neighbour: neighbours }) }
}

function specOf(
  { image, offer, patience }: Field,
  args: string[],
  tag: Attack['image'],
  limits: Limits,
  env: Record<string, string>,
): RunSpec {
  const isolation: Isolation = offer.backend === 'container' ? 'CONTAINER' : 'MICROVM_REQUIRED'
  const slowness = patience * (offer.accelerator === 'tcg' ? emulatedSlowness : 1)
  const slowed = {
    ...limits,
    wallMs: (limits.wallMs ?? 0) * slowness,
    ...(limits.cpuMs !== undefined && { cpuMs: limits.cpuMs * slowness }),
  }
  return {
    image: `${image}:${tag}`,
    args,
    env,
    isolation,
    limits: slowed,
    retentionMs: 60_000,
    labels: { attack: args[2] ?? '' },
  }
}

/** `whenHolding` is called once, when the program says that it holds what it took. */
async function follow({ caisson, signal }: Field, spec: RunSpec, whenHolding?: (runId: string) => Promise<void>) {
  const { runId } = await caisson.submit(spec, { signal })
  let stdout = ''
  let held: Promise<void> | undefined
  try {
    const run = caisson.watch(runId, { signal })
    for await (const event of run) {
      if (event.type !== 'output' || event.stream !== 'stdout' || stdout.length > keptBytes) continue
      stdout += event.data.toString('latin1')
      if (whenHolding && !held && /^holding$/m.test(stdout)) held = whenHolding(runId)
    }
    await held
    return { stdout, verdict: await run.verdict() }
  } catch (error) {
    await caisson.cancel(runId).catch(() => {})
    throw error
  }
}

/** Processes with that word among their arguments, once there was time for them to go. */
async function leftBehind(word: string, patience: number): Promise<string[]> {
  const deadline = Date.now() + leftoversMs * patience
  for (;;) {
    const left = await withWord(word)
    if (left.length === 0) return []
    if (Date.now() > deadline) return [`still there: processes ${left.join(', ')} of the host`]
    await delay(100)
  }
}

async function withWord(word: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return pids.filter((_, index) => lines[index]?.includes(word))
}
