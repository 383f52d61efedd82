// Forty machines that wait, beside as many that run: what they take of the host's memory together.

import { readFile } from 'node:fs/promises'
import { Instance } from '../../test/harness/instance.js'
import { vmms } from '../../test/harness/machines.js'
import { knownOffers } from '../../test/harness/offers.js'
import { until } from '../../test/harness/until.js'
import { guestMemory } from '../../worker/sandbox/shape.js'
import { type Row, trueSpec } from '../bench.js'

const [mebibyte, gibibyte] = [1 << 20, 1 << 30]
const count = 40
const promisedGibibytes = 24
/** What the worker may give away is a promise, of which a program that sleeps takes little. */
const room = ['--memory-bytes', String(64 * gibibyte), '--machine-memory-bytes', String(8 * gibibyte)]
const patienceMs = 300_000

export const manyMachines: Row = {
  ids: ['vm-many'],
  async measure({ guest }) {
    const pool = ['--pool', String(count), '--cpu-millis', String(2000 * count)]
    const instance = await Instance.start({ args: ['--allow-emulation', '--guest', guest, ...room, ...pool] })
    try {
      await knownOffers(instance.caisson)
      const spec = { ...trueSpec, isolation: 'MICROVM_REQUIRED', args: ['/bin/sleep', '3600'] } as const
      const limits = { wallMs: 3_600_000 }
      const runs = await Promise.all(Array.from({ length: count }, () => instance.caisson.submit({ ...spec, limits })))
      await until(`${count} machines run`, patienceMs, async () => {
        const states = await Promise.all(runs.map(({ runId }) => instance.caisson.get(runId)))
        return states.every(({ state }) => state === 'RUNNING')
      })
      await until(`${count} more wait`, patienceMs, async () => (await vmms(instance)).length >= 2 * count)
      const value = await memoryOf(instance)
      await Promise.all(runs.map(({ runId }) => instance.caisson.cancel(runId)))
      return [{ id: 'vm-many', unit: 'GiB', value, goal: { valueBelow: promisedGibibytes } }]
    } finally {
      await instance.stop()
    }
  },
}

/** Of all machines, and of what they began with, which none of them may have touched. */
async function memoryOf(instance: Instance): Promise<number> {
  const rollups = (await vmms(instance)).map((pid) => readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => ''))
  const kibibytes = (await Promise.all(rollups)).map((text) => Number(/^Pss: +(\d+)/m.exec(text)?.[1] ?? 0))
  const template = guestMemory(256 * mebibyte)
  return (kibibytes.reduce((sum, each) => sum + each * 1024, 0) + template) / gibibyte
}
