// What torments a kernel from inside a sandbox. None of it has to succeed: most of what it tries is refused.

import { images } from '../harness/images.js'
import { describeSelftest, isUnexplained, readSelftests } from './selftests.js'

export interface Program {
  name: string
  image: string
  user: string
  /** Of the time. */
  share: number
  script(seconds: number): string
  /** What one run did, from its output. */
  read(stdout: string): Achieved
}

export interface Achieved {
  /** Tests, stressors, calls: nothing in all of its runs is a fault, for then nothing was tormented. */
  count: number
  /** One line. */
  sum: string
  /** Told once for each wall, of the run that achieved most. */
  details: string[]
  /** What must not be. */
  faults: string[]
}

const image = `oci:${images}/abuse:latest`

export const programs: Program[] = [
  {
    name: 'selftests',
    image,
    user: 'root',
    share: 0.2,
    // Into a file: what a test leaves running may keep a pipe open.
    script: () => `for test in /selftests/*; do
  timeout --kill-after 1 20 $test < /dev/null > /tmp/said 2>&1
  echo "== \${test##*/} $?"
  head -c 262144 /tmp/said
  echo
done`,
    read: (stdout) => {
      const tests = readSelftests(stdout)
      const sum = (kind: 'passed' | 'failed' | 'skipped') => tests.reduce((all, test) => all + test[kind], 0)
      return {
        count: tests.length,
        sum: `${tests.length} programs, ${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`,
        details: tests.map(describeSelftest),
        faults: tests.filter(isUnexplained).map((test) => `fails, and nobody said why: ${describeSelftest(test)}`),
      }
    },
  },
  {
    name: 'stress-ng',
    image,
    user: 'root',
    share: 0.4,
    // By chance, four at once: more of them would seldom find memory enough.
    script: (seconds) => `cd /tmp
end=$(($(date +%s) + ${seconds}))
while [ $(date +%s) -lt $end ]; do
  timeout --kill-after 2 10 stress-ng --verbose --random 4 --timeout 3 --temp-path /tmp > said 2>&1
  grep -o "debug: .* started" said
done`,
    read: (stdout) => {
      const started = stdout.match(/[a-z0-9-]+(?=: started$)/gm) ?? []
      const kinds = [...new Set(started)].sort()
      return {
        count: started.length,
        sum: `${started.length} stressors of ${kinds.length} kinds`,
        details: [kinds.join(' ')],
        faults: [],
      }
    },
  },
  {
    name: 'trinity',
    image,
    user: '1000:1000',
    share: 0.4,
    // Of 64 bits alone, for a call of 32 ends its process. It would look for events of perf and for sockets until it found some, which is
    // for ever. It counts its calls when it ends: so it begins again and again, and what it counted is known also if a limit ends the run.
    script: (seconds) => `mkdir -p /tmp/trinity && cd /tmp/trinity
end=$(($(date +%s) + ${seconds}))
while [ $(date +%s) -lt $end ]; do
  timeout --signal INT --kill-after 3 10 trinity -q -l off -a 64 -C 16 --disable-fds=perf,sockets > said 2>&1
  grep -a "^.main. Ran " said
done`,
    read: (stdout) => {
      const ran = [...stdout.matchAll(/Ran (\d+) syscalls\. Successes: (\d+)\s+Failures: (\d+)/g)].map((found) =>
        found.map(Number),
      )
      const sum = (column: number) => ran.reduce((all, counts) => all + (counts[column] ?? 0), 0)
      return {
        count: sum(1),
        sum: `${sum(1)} calls in ${ran.length} rounds, ${sum(2)} of them successful`,
        details: [],
        faults: [],
      }
    },
  },
]
