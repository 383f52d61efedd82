// An image of a registry on this host that was never seen: from submit to verdict, against podman's pull, and against decompressing its layers.

import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { images } from '../../test/harness/images.js'
import { Instance } from '../../test/harness/instance.js'
import { knownOffers } from '../../test/harness/offers.js'
import { Registry } from '../../test/harness/registry.js'
import { type Bench, type Row, runTrue, trueSpec } from '../bench.js'
import { median } from '../statistics.js'
import { baseLayer, time } from './image.js'

export const pulls: Row = {
  ids: ['pull', 'pull-gzip'],
  async measure(bench: Bench) {
    const folder = await mkdtemp(join(tmpdir(), 'caisson-bench-pull-'))
    const registry = await Registry.start(folder)
    const times = { pull: [] as number[], podman: [] as number[], gzip: [] as number[] }
    try {
      await registry.push(`oci:${images}/debian:latest`, 'debian:latest')
      const spec = { ...trueSpec, image: `${registry.host}/debian:latest` }
      for (let i = 0; i < bench.samples; i++) {
        if (i % 10 === 0) bench.say(`pull, ${i} of ${bench.samples}`)
        const instance = await Instance.start({ args: ['--registry-plain-http', registry.host] })
        try {
          // Until then it boots a guest, for which it has both processors.
          await knownOffers(instance.caisson)
          times.pull.push(await runTrue(instance, spec))
        } finally {
          await instance.stop()
        }
        times.podman.push(await podmanPull(registry, folder))
        times.gzip.push(time(() => execFileSync('sh', ['-c', 'gzip -dc "$0" > /dev/null', baseLayer()])))
      }
    } finally {
      await registry.stop()
      await rm(folder, { recursive: true })
    }
    const [value, unit] = [median(times.pull), 'ms']
    return [
      {
        id: 'pull',
        value,
        unit,
        peer: { name: 'podman pull', value: median(times.podman) },
        goal: { ratioAtMost: 0.4 },
      },
      {
        id: 'pull-gzip',
        value,
        unit,
        peer: { name: 'gzip -dc of its layers', value: median(times.gzip) },
        goal: { ratioAtMost: 1.3 },
      },
    ]
  },
}

/** Into a storage of its own, empty each time. */
async function podmanPull({ host }: Registry, folder: string): Promise<number> {
  const root = join(folder, 'podman')
  // Of at most 50 characters.
  const runRoot = await mkdtemp('/run/podman-')
  const own = ['--root', root, '--runroot', runRoot]
  const took = time(() =>
    execFileSync('podman', [...own, 'pull', '--quiet', '--tls-verify=false', `${host}/debian:latest`], { stdio: 'ignore' }),
  )
  for (const used of [root, runRoot]) await rm(used, { recursive: true, force: true })
  return took
}
