// Another client's /bin/true while one sandbox at a time attacks a resource, again and again, beside the same in quiet.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Attack, readCorpus } from '../../client/attack/corpus.js'
import { writeImages } from '../../client/attack/image.js'
import type { RunSpec } from '../../client/sdk/model.js'
import { findInstallation } from '../../client/up/installation.js'
import type { Instance } from '../../test/harness/instance.js'
import { type Bench, type Row, runTrue } from '../bench.js'
import { median, quantile } from '../statistics.js'

const attacks = [
  'cpu',
  'memory',
  'shared-memory',
  'page-cache',
  'disk',
  'inodes',
  'dentries',
  'forks',
  'churn',
  'pipes',
  'socket-buffers',
  'open-files',
  'flood',
  'uninterruptible',
]

/** The worst of them beside it: what it is held to is the median. */
const rowOf = (name: string): Row => ({
  ids: [`noise-${name}`, `noise-${name}-worst`],
  async measure(bench: Bench) {
    const instance = await bench.instance()
    const images = join(instance.folder, `images/${name}`)
    await mkdir(images)
    await writeImages(images, findInstallation())
    const [attack] = await readCorpus(findInstallation(), name)
    if (!attack) throw new Error(`no attack ${name}`)
    const quiet = await sample(instance, bench.samples)
    const noisy = await during(instance, specOf(attack, images), () => sample(instance, bench.samples))
    const peer = { name: 'in quiet', value: median(quiet) }
    return [
      { id: `noise-${name}`, value: median(noisy), unit: 'ms', peer, goal: { ratioAtMost: 3 } },
      { id: `noise-${name}-worst`, value: quantile(noisy, 1), unit: 'ms', peer },
    ]
  },
})

export const noise: Row[] = attacks.map(rowOf)

/** As much of a processor as a run has by default, not the little that the attack gets elsewhere. */
function specOf({ name, limits }: Attack, images: string): RunSpec {
  return {
    image: `oci:${images}:plain`,
    args: ['/attack', 'run', name],
    isolation: 'CONTAINER',
    limits: { ...limits, cpuMillis: 1000, cpuMs: 60_000, wallMs: 60_000 },
    retentionMs: 60_000,
  }
}

async function sample(instance: Instance, count: number): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < count; i++) times.push(await runTrue(instance))
  return times
}

/** One after another: a run that ended, or that holds what it took and does no more, is followed by the next. */
async function during<Result>({ caisson }: Instance, spec: RunSpec, measure: () => Promise<Result>): Promise<Result> {
  let over = false
  let runId = ''
  const attack = async () => {
    while (!over) {
      runId = (await caisson.submit(spec)).runId
      let text = ''
      for await (const event of caisson.watch(runId)) {
        if (event.type === 'output' && text.length < 4096) text += event.data.toString('latin1')
        if (/^holding$/m.test(text) && !spec.args?.includes('cpu')) await caisson.cancel(runId)
      }
    }
  }
  const attacking = attack()
  try {
    return await measure()
  } finally {
    over = true
    await caisson.cancel(runId)
    await attacking
  }
}
