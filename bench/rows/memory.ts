// What an idle service holds.

import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { memory } from '../../test/harness/holdings.js'
import { lookAtHost } from '../../test/harness/host.js'
import { Instance } from '../../test/harness/instance.js'
import { type Bench, type Row, runTrue } from '../bench.js'
import { median } from '../statistics.js'

const mebibyte = 1 << 20

export const idleMemory: Row = {
  ids: ['idle-memory-control', 'idle-memory-worker', 'idle-memory-sandbox', 'idle-memory-launcher'],
  async measure(bench: Bench) {
    const instance = await Instance.start()
    try {
      for (let i = 0; i < bench.samples; i++) await runTrue(instance)
      await sleep(3000)
      const used = await memory(instance)
      return [
        { id: 'idle-memory-control', value: used.control / mebibyte, unit: 'MiB', goal: { valueBelow: 120 } },
        { id: 'idle-memory-worker', value: used.worker / mebibyte, unit: 'MiB', goal: { valueBelow: 120 } },
        {
          id: 'idle-memory-sandbox',
          value: median(await sandboxBytes(instance.name)) / mebibyte,
          unit: 'MiB',
          goal: { valueBelow: 3 },
        },
        { id: 'idle-memory-launcher', value: used.launcher / mebibyte, unit: 'MiB' },
      ]
    } finally {
      await instance.stop()
    }
  },
}

/** What the kernel charges to each waiting sandbox: processes, its tmpfs, kernel memory. */
async function sandboxBytes(name: string): Promise<number[]> {
  const groups = [...(await lookAtHost())].flatMap((line) => {
    const path = /^cgroup (.*)$/.exec(line)?.[1]
    return path?.includes(`/caisson-${name}/`) && /[/.]agent$/.test(path) ? [path] : []
  })
  const bytes: number[] = []
  for (const group of groups) {
    const file = (await readdir(group)).find((each) => each === 'memory.usage_in_bytes' || each === 'memory.current')
    if (file) bytes.push(Number(await readFile(`${group}/${file}`, 'utf8')))
  }
  return bytes
}
