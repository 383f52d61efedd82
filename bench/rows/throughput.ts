// As many runs of /bin/true as the machine does, client and all.

import type { RunSpec } from '../../client/sdk/model.js'
import { type Bench, type Row, runTrue, trueSpec } from '../bench.js'
import { timeCommand } from '../peers/time.js'
import { median } from '../statistics.js'

const clients = 16
const windowMs = 4000
const rounds = 3
const loops = 2
// As many at once as there are clients: what the runs may take together is the machine.
const spec: RunSpec = { ...trueSpec, limits: { cpuMillis: 100, memoryBytes: 32 << 20 } }

export const throughput: Row = {
  ids: ['throughput', 'throughput-aim'],
  async measure(bench: Bench) {
    const instance = await bench.instance()
    const peers = bench.peers()
    const crun = Array.from({ length: loops }, (_, i) => peers.crun(`caisson-bench-loop-${i}`))
    const bwrap = Array.from({ length: loops }, () => peers.bwrap)
    const rates = { caisson: [] as number[], crun: [] as number[], bwrap: [] as number[] }
    for (let round = 0; round < rounds; round++) {
      rates.caisson.push(await rate(() => runTrue(instance, spec)))
      rates.crun.push(await loopRate(crun, 3 * bench.samples))
      rates.bwrap.push(await loopRate(bwrap, 6 * bench.samples))
    }
    const value = median(rates.caisson)
    const unit = 'runs/s'
    return [
      {
        id: 'throughput',
        value,
        unit,
        peer: { name: `${loops} loops of crun run`, value: median(rates.crun) },
        goal: { ratioAtLeast: 1.5 },
      },
      {
        id: 'throughput-aim',
        value,
        unit,
        peer: { name: `${loops} loops of bwrap`, value: median(rates.bwrap) },
        goal: { ratioAtLeast: 1 },
      },
    ]
  },
}

async function rate(run: () => Promise<unknown>): Promise<number> {
  let done = 0
  const started = performance.now()
  const client = async () => {
    while (performance.now() - started < windowMs) {
      await run()
      done++
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return done / ((performance.now() - started) / 1000)
}

async function loopRate(commands: string[][], count: number): Promise<number> {
  const times = await Promise.all(commands.map((command) => timeCommand(count, command)))
  const rates = times.map((milliseconds) => (1000 * count) / milliseconds.reduce((sum, each) => sum + each, 0))
  return rates.reduce((sum, each) => sum + each, 0)
}
