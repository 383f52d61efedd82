// Programs that take more than they may: each gets the verdict of its limit, within its limit.

import assert from 'node:assert/strict'
import { describeVerdict, type Finished, sh } from '../harness/finish.js'
import { python } from '../harness/images.js'
import { slowness } from '../harness/slowness.js'
import { type Case, evidence, exited, expectVerdict, says } from './case.js'

const mebibyte = 1 << 20

const within = (finished: Finished, wallMs: number): void =>
  assert.ok((finished.verdict.usage.wallUs ?? 0) / 1000 < wallMs * slowness, `took ${describeVerdict(finished)}`)

const script = (text: string): string[] => ['-c', text]

export const limits: Case[] = [
  {
    name: 'wall time',
    spec: { args: ['sleep', '1000'], limits: { wallMs: 1000 * slowness } },
    expect: (finished) => {
      expectVerdict(finished, { outcome: 'WALL_TIMEOUT', effect: 'STARTED' })
      assert.equal(finished.verdict.observed.wallExceeded, true)
      assert.ok((finished.verdict.usage.wallUs ?? 0) >= 1_000_000 * slowness)
      within(finished, 3000)
    },
  },
  {
    name: 'cpu time',
    spec: { args: sh('while :; do :; done'), limits: { cpuMs: 300, wallMs: 30_000 * slowness } },
    expect: (finished) => {
      expectVerdict(finished, { outcome: 'CPU_TIMEOUT', effect: 'STARTED' })
      assert.equal(finished.verdict.observed.cpuExceeded, true)
      within(finished, 5000)
    },
  },
  {
    name: 'cpu time of children that ended counts',
    spec: {
      args: sh('while :; do (i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done); done'),
      limits: { cpuMs: 500, wallMs: 30_000 * slowness },
    },
    expect: (finished) => expectVerdict(finished, { outcome: 'CPU_TIMEOUT', effect: 'STARTED' }),
  },
  {
    name: 'cpu rate: half a core gets half the time',
    spec: { args: sh('while :; do :; done'), limits: { cpuMillis: 500, wallMs: 2000, cpuMs: 60_000 } },
    expect: (finished) => {
      expectVerdict(finished, { outcome: 'WALL_TIMEOUT' })
      const { cpuUserUs = 0, cpuSystemUs = 0 } = finished.verdict.usage
      assert.ok(cpuUserUs + cpuSystemUs < 1_300_000, describeVerdict(finished))
    },
  },
  {
    name: 'cpu rate: a tenth of a core is not less',
    spec: { args: sh('while :; do :; done'), limits: { cpuMillis: 100, wallMs: 4000, cpuMs: 60_000 } },
    expect: (finished) => {
      expectVerdict(finished, { outcome: 'WALL_TIMEOUT' })
      const { cpuUserUs = 0, cpuSystemUs = 0, wallUs = 0 } = finished.verdict.usage
      assert.ok(cpuUserUs + cpuSystemUs > wallUs * 0.07, describeVerdict(finished))
    },
  },
  {
    name: 'a memory hog',
    spec: { args: sh('echo start; tail /dev/zero; echo survived'), limits: { memoryBytes: 32 * mebibyte } },
    expect: (finished) => {
      // Whoever the kernel chose: the whole run ends, so nobody survives to tell.
      expectVerdict(finished, { outcome: 'OOM_KILLED', effect: 'STARTED' })
      assert.ok(evidence(finished).oomKills >= 1)
      assert.equal(finished.stdout.toString(), 'start\n')
    },
  },
  {
    name: 'memory in /dev/shm counts as memory',
    spec: {
      args: sh('dd if=/dev/zero of=/dev/shm/x bs=1M count=200 || dd if=/dev/zero of=/tmp/x bs=1M count=1'),
      limits: { memoryBytes: 32 * mebibyte },
    },
    // /dev/shm may be smaller than the limit; then it is full before the memory is.
    expect: (finished) => assert.ok(['OOM_KILLED', 'EXITED'].includes(finished.verdict.outcome), describeVerdict(finished)),
  },
  {
    name: '/dev/shm takes what the memory limit allows',
    spec: {
      args: sh('dd if=/dev/zero of=/dev/shm/x bs=1M count=200 2>/dev/null && echo fits'),
      limits: { memoryBytes: 256 * mebibyte },
    },
    expect: says('fits'),
  },
  {
    name: 'a disk filler',
    spec: { args: sh('dd if=/dev/zero of=/big bs=1M'), limits: { diskBytes: 32 * mebibyte } },
    expect: (finished) => {
      expectVerdict(finished, { outcome: 'DISK_LIMIT', exitCode: 1, effect: 'COMPLETED' })
      assert.equal(evidence(finished).diskFull, true)
      assert.match(finished.stderr.toString(), /No space left/)
    },
  },
  {
    name: 'a full disk that the program shrugs off is evidence, not its verdict',
    spec: { args: sh('dd if=/dev/zero of=/tmp/big bs=1M; echo fine'), limits: { diskBytes: 16 * mebibyte } },
    expect: (finished) => {
      says('fine')(finished)
      assert.equal(evidence(finished).diskFull, true)
    },
  },
  {
    name: 'files without content: there is room for so many, and then the disk is full',
    spec: {
      image: python,
      args: script('n = 0\nwhile True:\n  open(f"/tmp/{n}", "w").close()\n  n += 1\n  if n == 5000: print("no end")'),
      limits: { diskBytes: 16 * mebibyte, outputBytes: mebibyte },
    },
    expect: (finished) => {
      expectVerdict(finished, { outcome: 'DISK_LIMIT', exitCode: 1, effect: 'COMPLETED' })
      assert.equal(evidence(finished).diskFull, true)
      assert.match(finished.stderr.toString(), /No space left on device: '\/tmp\/(3|4)\d{3}'/)
    },
  },
  {
    name: 'written files never end as OOM_KILLED',
    spec: {
      args: sh('dd if=/dev/zero of=/big bs=1M count=300 2>/dev/null; ls -l /big | tr -s " " | cut -d " " -f 5'),
      limits: { memoryBytes: 32 * mebibyte, diskBytes: 512 * mebibyte },
    },
    expect: says(String(300 * mebibyte)),
  },
  {
    name: 'a disk as slow as the run was told',
    spec: {
      // Past the page cache: to sync does nothing there, for the disk of a run is thrown away with it.
      args: sh('dd if=/dev/zero of=/f bs=1M count=24 oflag=direct 2>/dev/null'),
      limits: { diskBytesPerSecond: 4 * mebibyte, memoryBytes: 64 * mebibyte },
    },
    offered: ({ diskRateUnavailable }) => diskRateUnavailable === '',
    expect: (finished) => {
      exited(finished)
      const rate = (24 * mebibyte * 1e6) / (finished.verdict.usage.wallUs ?? 1)
      // Something may pass at once; a machine that is slow itself is no fault of the limit.
      assert.ok(rate < 5 * mebibyte, `${rate} bytes a second`)
      within(finished, 12_000)
    },
  },
  {
    name: 'an output flood',
    spec: { args: ['yes'], limits: { outputBytes: 100_000 } },
    expect: (finished) => {
      expectVerdict(finished, { outcome: 'OUTPUT_LIMIT', effect: 'STARTED' })
      assert.equal(finished.stdout.length, 100_000)
      assert.equal(finished.verdict.observed.outputExceeded, true)
      const truncated = finished.events.filter((event) => event.type === 'truncated')
      assert.deepEqual(
        truncated.map((event) => event.limitBytes),
        [100_000],
      )
      within(finished, 5000)
    },
  },
  {
    name: 'output of exactly the limit is no flood',
    spec: { args: sh('head -c 1000 /dev/zero; head -c 1000 /dev/zero >&2'), limits: { outputBytes: 2000 } },
    expect: (finished) => {
      exited(finished)
      assert.equal(finished.stdout.length + finished.stderr.length, 2000)
    },
  },
  {
    name: 'no output allowed',
    spec: { args: ['true'], limits: { outputBytes: 0 } },
    expect: exited,
  },
  {
    name: 'a fork bomb',
    spec: { args: sh('bomb() { bomb | bomb; }; bomb'), limits: { pids: 64, wallMs: 10_000 * slowness, outputBytes: mebibyte } },
    expect: (finished) => {
      // How far it comes is its own affair; which limit ends it too. Nothing of it lives on.
      assert.ok(
        ['PIDS_LIMIT', 'CPU_TIMEOUT', 'WALL_TIMEOUT', 'OUTPUT_LIMIT'].includes(finished.verdict.outcome),
        describeVerdict(finished),
      )
      assert.ok(evidence(finished).pidsDenied > 0, describeVerdict(finished))
    },
  },
  {
    name: 'a fork bomb in the background of a program that ends',
    spec: { args: sh('bomb() { bomb | bomb & }; bomb; exit 0'), limits: { pids: 64, wallMs: 10_000 * slowness } },
    expect: exited,
  },
  {
    name: 'processes: the limit is exact, and one denied fork is the verdict of a program that fails by it',
    spec: {
      image: python,
      args: script(
        'import os, sys, time\nn = 0\ntry:\n  while True:\n    if os.fork() == 0: time.sleep(100)\n    n += 1\nexcept OSError as e:\n  print(n + 1, e.errno)\n  sys.exit(9)',
      ),
      limits: { pids: 20 },
    },
    expect: (finished) => {
      expectVerdict(finished, { outcome: 'PIDS_LIMIT', exitCode: 9, effect: 'COMPLETED' })
      assert.ok(evidence(finished).pidsDenied >= 1)
      assert.equal(finished.stdout.toString(), '20 11\n')
    },
  },
  {
    name: 'a zombie factory: orphans are reaped, so the limit of processes is not reached',
    spec: { args: sh('i=0; while [ $i -lt 300 ]; do (true &); i=$((i+1)); done; sleep 0.2; ps | wc -l'), limits: { pids: 30 } },
    expect: (finished) => {
      exited(finished)
      assert.ok(Number(finished.stdout) < 12, finished.stdout.toString())
    },
  },
  {
    name: 'zombies that their parent keeps are counted',
    spec: {
      image: python,
      args: script('import os\nfor i in range(1000):\n  if os.fork() == 0: os._exit(0)'),
      limits: { pids: 40 },
    },
    expect: (finished) => expectVerdict(finished, { outcome: 'PIDS_LIMIT', effect: 'COMPLETED' }),
  },
  {
    name: 'open files',
    spec: { args: sh('ulimit -n; ulimit -H -n'), limits: { openFiles: 77 } },
    expect: says('77\n77'),
  },
]
