// What a run used, and how long each stage took.

import assert from 'node:assert/strict'
import { describeVerdict, sh } from '../harness/finish.js'
import { python } from '../harness/images.js'
import { slowness } from '../harness/slowness.js'
import { type Case, emulated, exited } from './case.js'

const mebibyte = 1 << 20
const between = (value: number | undefined, low: number, high: number, text: string): void =>
  assert.ok(value !== undefined && value >= low && value <= high, `${value} is not in ${low}…${high}: ${text}`)

export const account: Case[] = [
  {
    name: 'wall time and stages of a sleeper',
    spec: { args: ['sleep', '0.5'] },
    expect: (finished) => {
      exited(finished)
      const { usage, stages } = finished.verdict
      const text = describeVerdict(finished)
      between(usage.wallUs, 490_000, 500_000 + 1_000_000 * slowness, text)
      between(stages.processUs, 490_000, 500_000 + 1_000_000 * slowness, text)
      between((usage.cpuUserUs ?? 0) + (usage.cpuSystemUs ?? 0), 0, emulated(finished) ? 1_000_000 : 200_000 * slowness, text)
      for (const stage of [stages.queuedUs, stages.sandboxUs]) between(stage, 1, 10_000_000 * slowness, text)
      between(stages.imageUs, 0, 60_000_000 * slowness, text)
    },
  },
  {
    name: 'cpu time of a worker and its children',
    spec: {
      image: python,
      args: ['-c', 'import os, time\npid = os.fork()\nwhile time.process_time() < 0.4: pass\nif pid: os.wait()'],
      limits: { cpuMillis: 2000 },
    },
    expect: (finished) => {
      exited(finished)
      const { cpuUserUs = 0, cpuSystemUs = 0, wallUs = 0 } = finished.verdict.usage
      // How long Python takes to start in an emulated machine depends on what else its host does, but more than two processors it never had.
      const most = emulated(finished) ? 2.5 * wallUs : 1_000_000 + 1_000_000 * slowness
      between(cpuUserUs + cpuSystemUs, 750_000, most, describeVerdict(finished))
    },
  },
  {
    name: 'peaks of memory and processes, bytes written and said',
    spec: {
      image: python,
      args: [
        '-c',
        'import subprocess\nx = bytearray(64 << 20)\nps = [subprocess.Popen(["sleep", "0.3"]) for _ in range(5)]\nopen("/tmp/f", "wb").write(bytes(20 << 20))\nprint("x" * 1234, end="")\n[p.wait() for p in ps]',
      ],
    },
    expect: (finished) => {
      exited(finished)
      const { usage } = finished.verdict
      const text = describeVerdict(finished)
      between(usage.memoryPeakBytes, 64 * mebibyte, 256 * mebibyte, text)
      between(usage.pidsPeak, 6, 12, text)
      between(usage.diskBytes, 20 * mebibyte, 24 * mebibyte, text)
      assert.equal(usage.outputBytes, 1234, text)
    },
  },
  {
    name: 'a run that did nothing used next to nothing',
    spec: { args: sh('true') },
    expect: (finished) => {
      exited(finished)
      const { usage, observed } = finished.verdict
      const text = describeVerdict(finished)
      between(usage.diskBytes ?? 0, 0, mebibyte, text)
      assert.equal(usage.outputBytes, 0, text)
      // What not every host sees, and not of every backend.
      const { diskFull = false, memoryOomEvents = 0, memoryLimitHits, pressure, ...others } = observed
      assert.deepEqual([diskFull, memoryOomEvents], [false, 0])
      assert.deepEqual(others, {
        oomKills: 0,
        pidsDenied: 0,
        cpuExceeded: false,
        wallExceeded: false,
        outputExceeded: false,
        agentLost: false,
      })
    },
  },
]
