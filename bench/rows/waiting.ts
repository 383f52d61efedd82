// The same with 100,000 runs waiting in another queue.

import type { RunSpec } from '../../client/sdk/model.js'
import { type Bench, type Row, runTrue, trueSpec } from '../bench.js'
import { median } from '../statistics.js'

const waiting = 100_000
const spec: RunSpec = { ...trueSpec, isolation: 'MICROVM_REQUIRED', waitForWorker: true }

export const latencyWhileOthersWait: Row = {
  ids: ['run-latency-100k-waiting'],
  async measure(bench: Bench) {
    const instance = await bench.instance()
    const measure = async () => {
      const times: number[] = []
      for (let i = 0; i < 2 * bench.samples; i++) times.push(await runTrue(instance))
      return times
    }
    const before = await measure()
    bench.say(`${waiting} runs are put into another queue`)
    let left = waiting
    const submit = async () => {
      while (left-- > 0) await instance.caisson.submit(spec)
    }
    await Promise.all(Array.from({ length: 32 }, submit))
    const peer = { name: 'the same, none waiting', value: median(before) }
    return [{ id: 'run-latency-100k-waiting', value: median(await measure()), unit: 'ms', peer, goal: { ratioAtMost: 1.15 } }]
  },
}
