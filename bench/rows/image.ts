// An image that was never seen: from submit to verdict, against unpacking it; and a second one on the same base.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { images } from '../../test/harness/images.js'
import { Instance } from '../../test/harness/instance.js'
import { knownOffers } from '../../test/harness/offers.js'
import { type Bench, type Row, runTrue, trueSpec } from '../bench.js'
import { median } from '../statistics.js'

export const firstUse: Row = {
  ids: ['first-use', 'first-use-gzip', 'second-image'],
  async measure(bench: Bench) {
    const times = { first: [] as number[], second: [] as number[], umoci: [] as number[], gzip: [] as number[] }
    const blob = baseLayer()
    for (let i = 0; i < bench.samples; i++) {
      if (i % 10 === 0) bench.say(`first use, ${i} of ${bench.samples}`)
      const instance = await Instance.start()
      try {
        await knownOffers(instance.caisson)
        times.first.push(await runTrue(instance))
        times.second.push(await runTrue(instance, { ...trueSpec, image: `oci:${images}/debian:app` }))
      } finally {
        await instance.stop()
      }
      times.umoci.push(timeUnpack())
      times.gzip.push(time(() => execFileSync('sh', ['-c', 'gzip -dc "$0" > /dev/null', blob])))
    }
    const [value, unit] = [median(times.first), 'ms']
    return [
      { id: 'first-use', value, unit, peer: { name: 'umoci unpack', value: median(times.umoci) }, goal: { ratioAtMost: 0.5 } },
      { id: 'first-use-gzip', value, unit, peer: { name: 'gzip -dc', value: median(times.gzip) } },
      {
        id: 'second-image',
        value: median(times.second),
        unit,
        peer: { name: 'first use of its base', value },
        goal: { ratioAtMost: 0.1 },
      },
    ]
  },
}

export function time(work: () => void): number {
  const before = performance.now()
  work()
  return performance.now() - before
}

function timeUnpack(): number {
  const folder = mkdtempSync(join(tmpdir(), 'caisson-bench-unpack-'))
  const took = time(() =>
    execFileSync('umoci', ['unpack', '--image', `${images}/debian:latest`, join(folder, 'bundle')], { stdio: 'ignore' }),
  )
  rmSync(folder, { recursive: true })
  return took
}

/** Path of the one layer of the image. */
export function baseLayer(): string {
  const folder = join(images, 'debian')
  const read = (digest: string) => JSON.parse(readFileSync(join(folder, 'blobs', digest.replace(':', '/')), 'utf8'))
  const { manifests } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'))
  const named = manifests.find(
    (entry: { annotations: Record<string, string> }) => entry.annotations['org.opencontainers.image.ref.name'] === 'latest',
  )
  return join(folder, 'blobs', read(named.digest).layers[0].digest.replace(':', '/'))
}
