// One client, one run of /bin/true after another, image prepared.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bench, type Row, runTrue, withRedis } from '../bench.js'
import { Pipeline } from '../peers/pipeline.js'
import { timeCommand } from '../peers/time.js'
import { median, quantile } from '../statistics.js'

const rounds = 5

export const latency: Row = {
  ids: ['run-latency', 'run-latency-aim', 'run-latency-p90', 'run-latency-runc', 'run-latency-exec'],
  async measure(bench: Bench) {
    const instance = await bench.instance()
    const peers = bench.peers()
    const commands = {
      exec: peers.exec,
      bwrap: peers.bwrap,
      crun: peers.crun('caisson-bench-crun'),
      runc: peers.runc('caisson-bench-runc'),
    }
    const times: Record<keyof typeof commands | 'caisson', number[]> = { caisson: [], exec: [], bwrap: [], crun: [], runc: [] }
    const each = Math.ceil(bench.samples / rounds)
    // In turns, so that what the machine does beside it falls on all alike.
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < 4 * each; i++) times.caisson.push(await runTrue(instance))
      for (const peer of Object.keys(commands) as (keyof typeof commands)[])
        times[peer].push(...(await timeCommand(each, commands[peer])))
    }
    for (const [who, milliseconds] of Object.entries(times)) bench.latencies.set(who, milliseconds)
    const value = median(times.caisson)
    const unit = 'ms'
    return [
      { id: 'run-latency', value, unit, peer: { name: 'crun run', value: median(times.crun) }, goal: { ratioAtMost: 0.8 } },
      { id: 'run-latency-aim', value, unit, peer: { name: 'bwrap', value: median(times.bwrap) }, goal: { ratioAtMost: 0.8 } },
      {
        id: 'run-latency-p90',
        value: quantile(times.caisson, 0.9),
        unit,
        peer: { name: 'crun run, p90', value: quantile(times.crun, 0.9) },
      },
      { id: 'run-latency-runc', value, unit, peer: { name: 'runc run', value: median(times.runc) } },
      { id: 'run-latency-exec', value, unit, peer: { name: 'fork and exec', value: median(times.exec) } },
    ]
  },
}

/** Of a service that has nothing else to do: what the last run left is taken away by then, and what the next one needs is made. */
const apartMs = 50

export const apart: Row = {
  ids: ['run-latency-apart', 'run-latency-apart-aim'],
  async measure(bench: Bench) {
    const instance = await bench.instance()
    const peers = bench.peers()
    const commands = { crun: peers.crun('caisson-bench-crun-apart'), bwrap: peers.bwrap }
    const times: Record<'caisson' | keyof typeof commands, number[]> = { caisson: [], crun: [], bwrap: [] }
    const each = Math.ceil(bench.samples / rounds)
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < each; i++) {
        times.caisson.push(await runTrue(instance))
        await sleep(apartMs)
      }
      for (const peer of Object.keys(commands) as (keyof typeof commands)[])
        times[peer].push(...(await timeCommand(each, commands[peer], apartMs)))
    }
    const value = median(times.caisson)
    const peer = (name: string, times: number[]) => ({ name: `${name}, ${apartMs} ms apart`, value: median(times) })
    return [
      { id: 'run-latency-apart', value, unit: 'ms', peer: peer('crun run', times.crun), goal: { ratioAtMost: 0.8 } },
      { id: 'run-latency-apart-aim', value, unit: 'ms', peer: peer('bwrap', times.bwrap), goal: { ratioAtMost: 0.8 } },
    ]
  },
}

export const pipelines: Row = {
  ids: ['run-latency-bare-always', 'run-latency-bare-everysec'],
  async measure(bench: Bench) {
    const instance = await bench.instance()
    const value: number[] = []
    for (let i = 0; i < bench.samples; i++) value.push(await runTrue(instance))
    const compared = async (appendfsync: 'always' | 'everysec') => ({
      id: `run-latency-bare-${appendfsync}`,
      value: median(value),
      unit: 'ms',
      peer: {
        name: `bare pipeline, ${appendfsync}`,
        value: await withRedis(appendfsync, (url) => timePipeline(url, bench.samples)),
      },
    })
    return [await compared('always'), await compared('everysec')]
  },
}

async function timePipeline(url: string, samples: number): Promise<number> {
  await using pipeline = await Pipeline.start(url)
  const times: number[] = []
  for (let i = 0; i < samples + 30; i++) {
    const before = performance.now()
    await pipeline.run()
    if (i >= 30) times.push(performance.now() - before)
  }
  return median(times)
}
