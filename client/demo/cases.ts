// What the demo runs: programs that mean well, and programs that do not.

import type { Limits, Outcome, RunSpec, Verdict } from '../sdk/model.js'

export interface DemoCase {
  title: string
  image: 'busybox' | 'python'
  args: string[]
  stdin?: string
  limits?: Limits
  expected: { outcome: Outcome; exitCode?: number; signal?: number; output?: RegExp }
}

const MiB = 2 ** 20

const wordCount = `
import sys, collections
words = collections.Counter(sys.stdin.read().split())
for word, count in sorted(words.items()):
    print(count, word)
print("counted on Python", sys.version.split()[0], file=sys.stderr)
`

const hog = `
blocks = []
while True:
    blocks.append(bytearray(8 << 20))
    print(len(blocks) * 8, "MiB", flush=True)
`

export const cases: DemoCase[] = [
  {
    title: 'says hello',
    image: 'busybox',
    args: ['sh', '-c', 'echo "hello from $(uname -s), I am $(id -un), process $$"'],
    expected: { outcome: 'EXITED', exitCode: 0, output: /hello from Linux/ },
  },
  {
    title: 'counts words of its input, in Python',
    image: 'python',
    args: ['-c', wordCount],
    stdin: 'water pressure water air\nair water\n',
    expected: { outcome: 'EXITED', exitCode: 0, output: /^3 water$/m },
  },
  {
    title: 'fails with a code of its own',
    image: 'busybox',
    args: ['sh', '-c', 'echo "this is stderr" >&2; exit 3'],
    expected: { outcome: 'EXITED', exitCode: 3 },
  },
  {
    title: 'crashes',
    image: 'python',
    args: ['-c', 'import ctypes; ctypes.string_at(0)'],
    expected: { outcome: 'SIGNALED', signal: 11 },
  },
  {
    title: 'takes memory without end (limit 64 MiB)',
    image: 'python',
    args: ['-c', hog],
    limits: { memoryBytes: 64 * MiB },
    expected: { outcome: 'OOM_KILLED' },
  },
  {
    title: 'sleeps too long (limit 1 s), and will not listen to SIGTERM',
    image: 'busybox',
    args: ['sh', '-c', 'trap "" TERM; echo "good night"; while :; do sleep 60; done'],
    limits: { wallMs: 1000 },
    expected: { outcome: 'WALL_TIMEOUT' },
  },
  {
    title: 'burns the processor (limit 0.5 s of it)',
    image: 'busybox',
    args: ['sh', '-c', 'while :; do :; done'],
    limits: { cpuMs: 500, wallMs: 20_000 },
    expected: { outcome: 'CPU_TIMEOUT' },
  },
  {
    title: 'is a fork bomb (limit 32 processes)',
    image: 'busybox',
    args: ['sh', '-c', 'bomb() { bomb | bomb & bomb; }; bomb'],
    limits: { pids: 32, wallMs: 20_000 },
    expected: { outcome: 'PIDS_LIMIT' },
  },
  {
    title: 'fills the disk (limit 16 MiB)',
    image: 'busybox',
    args: ['dd', 'if=/dev/zero', 'of=/tmp/full', 'bs=1M'],
    limits: { diskBytes: 16 * MiB },
    expected: { outcome: 'DISK_LIMIT' },
  },
  {
    title: 'floods its output (limit 1 MiB)',
    image: 'busybox',
    args: ['yes', 'I will not stop.'],
    limits: { outputBytes: MiB },
    expected: { outcome: 'OUTPUT_LIMIT' },
  },
  {
    title: 'calls home',
    image: 'python',
    args: ['-c', 'import socket; socket.create_connection(("192.0.2.1", 80), 3)'],
    expected: { outcome: 'EXITED', exitCode: 1, output: /Network is unreachable/ },
  },
  {
    title: 'is not there',
    image: 'busybox',
    args: ['no-such-command'],
    expected: { outcome: 'IMAGE_ERROR' },
  },
]

export function specOf({ image, args, stdin, limits }: DemoCase, imageFolder: string, isolation: RunSpec['isolation']): RunSpec {
  return {
    image: `oci:${imageFolder}/${image}:latest`,
    args,
    ...(stdin !== undefined && { stdin: Buffer.from(stdin) }),
    ...(limits && { limits }),
    ...(isolation && { isolation }),
    labels: { demo: 'true' },
  }
}

/** Undefined: as expected; else what was not. */
export function surprise({ expected }: DemoCase, verdict: Verdict, output: string): string | undefined {
  if (verdict.outcome !== expected.outcome) return `expected ${expected.outcome}`
  if (expected.exitCode !== undefined && verdict.exitCode !== expected.exitCode) return `expected exit code ${expected.exitCode}`
  if (expected.signal !== undefined && verdict.signal !== expected.signal) return `expected signal ${expected.signal}`
  if (expected.output && !expected.output.test(output)) return `expected output like ${expected.output}`
  return undefined
}
