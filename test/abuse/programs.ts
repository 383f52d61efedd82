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
    script: (seconds) => `for test in /selftests/*; do
  echo "== $test"
  timeout --kill-after 1 ${Math.max(2, Math.floor(seconds / 20))} $test < /dev/null 2>&1 | tail -n 40
done`,
    says: (text) =>
      `${count(text, /^== /gm)} programs, ${count(text, /^ok /gm)} ok, ${count(text, /^not ok /gm)} not ok (the wall refuses), ${count(text, /# SKIP/g)} skipped`,
  },
  {
    name: 'stress-ng',
    image,
    user: 'root',
    share: 0.4,
    // Of each class all that there is, one after another; the last ones go as their time is up.
    script: (seconds) => `cd /tmp
for class in os filesystem memory interrupt scheduler network pipe security device; do
  echo "== $class"
  timeout --kill-after 2 ${Math.max(3, Math.floor(seconds / 9))} stress-ng --sequential 1 --class $class --timeout 300ms --temp-path /tmp 2>&1 | tail -n 40
done`,
    says: (text) =>
      `${count(text, /^== /gm)} classes, ${count(text, /: \[\d+\] (?:successful|passed|unsuccessful)/g)} ended by themselves`,
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
