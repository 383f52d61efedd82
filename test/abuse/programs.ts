// What torments a kernel from inside a sandbox. None of it has to succeed: most of what it tries is refused.

import { images } from '../harness/images.js'

export interface Program {
  name: string
  image: string
  user: string
  /** Of the time. */
  share: number
  script(seconds: number): string
  /** In a few words, from its output. */
  says(stdout: string): string
}

const image = `oci:${images}/abuse:latest`
const count = (text: string, what: RegExp): number => [...text.matchAll(what)].length

export const programs: Program[] = [
  {
    name: 'selftests',
    image,
    user: 'root',
    share: 0.2,
    // Into a file: what a test leaves running may keep a pipe open.
    script: (seconds) => `for test in /selftests/*; do
  echo "== $test"
  timeout --kill-after 1 ${Math.max(2, Math.floor(seconds / 25))} $test < /dev/null > /tmp/said 2>&1
  tail -n 400 /tmp/said
done`,
    says: (text) =>
      `${count(text, /^== /gm)} programs, ${count(text, /^ok /gm)} ok, ${count(text, /^not ok /gm)} not ok (the wall refuses), ${count(text, /# SKIP/g)} skipped`,
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
    says: (text) =>
      `${count(text, / started$/gm)} stressors, ${new Set(text.match(/[a-z0-9-]+(?=: started$)/gm)).size} different`,
  },
  {
    name: 'trinity',
    image,
    user: '1000:1000',
    share: 0.4,
    script: (seconds) => `mkdir -p /tmp/trinity && cd /tmp/trinity
timeout --signal KILL ${seconds} trinity -q -l off -C 8 2>&1 | tail -c 20000`,
    says: (text) => [...text.matchAll(/\[main\] (\d+) iterations/g)].at(-1)?.[0] ?? 'no count',
  },
]
