// One gibibyte of output to one watcher: how fast, and what it costs in memory.

import { setTimeout } from 'node:timers/promises'
import { memory } from '../../test/harness/holdings.js'
import type { Instance } from '../../test/harness/instance.js'
import { type Bench, type Row, runTrue, trueSpec, withRedis } from '../bench.js'
import { bareStream } from '../peers/bare_stream.js'
import { median } from '../statistics.js'

const gibibyte = 1 << 30
const mebibyte = 1 << 20
const rounds = 3

export const output: Row = {
  ids: ['output', 'output-memory-control', 'output-memory-worker'],
  async measure(bench: Bench) {
    const instance = await bench.instance()
    const ours: number[] = []
    const bare: number[] = []
    const growth = { control: 0, worker: 0 }
    for (let round = 0; round < rounds; round++) {
      const idle = await memory(instance)
      const watching = watchGibibyte(instance)
      while (!(await isOver(watching))) {
        const now = await memory(instance)
        for (const part of ['control', 'worker'] as const)
          growth[part] = Math.max(growth[part], (now[part] - idle[part]) / mebibyte)
      }
      ours.push(await watching)
      bare.push(await withRedis('always', (url) => bareStream(url, gibibyte)))
      await runTrue(instance)
    }
    const peer = { name: 'bare XADD → XREAD', value: median(bare) }
    return [
      { id: 'output', value: median(ours), unit: 'MiB/s', peer, goal: { ratioAtLeast: 0.5 } },
      { id: 'output-memory-control', value: growth.control, unit: 'MiB more', goal: { valueBelow: 64 } },
      { id: 'output-memory-worker', value: growth.worker, unit: 'MiB more', goal: { valueBelow: 64 } },
    ]
  },
}

/** Waits a little for it. */
const isOver = (work: Promise<unknown>) =>
  Promise.race([
    setTimeout(100, false),
    work.then(
      () => true,
      () => true,
    ),
  ])

/** MiB per second, from the first chunk to the verdict. A watcher on a busy machine may be a minute behind: kept for longer. */
async function watchGibibyte({ caisson }: Instance): Promise<number> {
  const limits = { outputBytes: gibibyte, wallMs: 600_000, cpuMs: 600_000 }
  const run = caisson.run({
    ...trueSpec,
    args: ['sh', '-c', `head -c ${gibibyte} /dev/zero | cat`],
    limits,
    retentionMs: 600_000,
  })
  let first = 0
  let bytes = 0
  let runId = ''
  for await (const event of run) {
    runId = event.runId
    if (event.type !== 'output') continue
    first ||= performance.now()
    bytes += event.data.length
  }
  const took = performance.now() - first
  if (bytes !== gibibyte) throw new Error(`${bytes} bytes of output`)
  await caisson.delete(runId)
  return bytes / mebibyte / (took / 1000)
}
