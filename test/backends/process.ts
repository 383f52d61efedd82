// What the program finds itself to be: words, environment, folder and user, as the image's config and the run say.

import assert from 'node:assert/strict'
import { sh } from '../harness/finish.js'
import { python } from '../harness/images.js'
import { type Case, exited, expectVerdict, says } from './case.js'

export const process: Case[] = [
  {
    name: "the image's own entrypoint and command",
    spec: { image: python },
    expect: (finished) => {
      exited(finished)
      assert.match(finished.stdout.toString(), /^Python 3\..* on Linux x86_64\nwords: ?\n$/)
    },
  },
  {
    name: "args replace the image's command, not its entrypoint",
    spec: { image: python, args: ['/app/hello.py', 'one', 'two words'] },
    expect: (finished) => assert.match(finished.stdout.toString(), /words: one two words\n/),
  },
  {
    name: "an entrypoint replaces both of the image's",
    spec: { image: python, entrypoint: ['sh', '-c', 'echo "$0" "$@"'] },
    expect: says('sh'),
  },
  {
    name: 'an empty entrypoint leaves the args alone',
    spec: { image: python, entrypoint: [], args: ['echo', 'a', '', 'b'] },
    expect: says('a  b'),
  },
  {
    name: "the image's user, folder and environment",
    spec: { image: python, entrypoint: [], args: sh('id -u; id -g; pwd; echo $PYTHONUNBUFFERED; echo $PATH; echo $HOME') },
    expect: says('1000\n1000\n/app\n1\n/usr/local/bin:/usr/bin:/bin\n/app'),
  },
  {
    name: 'environment of the run is added, and replaces',
    spec: {
      image: python,
      entrypoint: [],
      args: ['env'],
      env: { A: '1', EMPTY: '', PYTHONUNBUFFERED: 'no', UNICODE: 'grüße\nzweite Zeile' },
    },
    expect: (finished) => {
      exited(finished)
      const env = finished.stdout.toString()
      for (const line of [
        'A=1',
        'EMPTY=',
        'PYTHONUNBUFFERED=no',
        'UNICODE=grüße\nzweite Zeile',
        'PATH=/usr/local/bin:/usr/bin:/bin',
      ])
        assert.ok(`\n${env}`.includes(`\n${line}\n`), `${line} in\n${env}`)
      assert.ok(!/caisson/i.test(env), env)
    },
  },
  { name: 'root of the sandbox by default', spec: { args: sh('id -u; id -g; pwd') }, expect: says('0\n0\n/') },
  {
    name: 'a user by name, with its groups',
    spec: { args: ['id'], user: 'guest' },
    expect: (finished) => {
      exited(finished)
      const [, ids, groups] = /^(.*) groups=(.*)\n$/.exec(finished.stdout.toString()) ?? []
      assert.equal(ids, 'uid=1000(guest) gid=1000(guest)')
      // Its own group is among them: a file that denies that group denies this user.
      assert.deepEqual(groups?.split(',').sort(), ['1000(guest)', '29(audio)'])
    },
  },
  {
    name: 'user and group by name',
    spec: { args: sh('id -u; id -g'), user: 'guest:audio' },
    expect: says('1000\n29'),
  },
  {
    name: 'user and group by number, known or not',
    spec: { args: sh('id -u; id -g; id -G'), user: '4711:4712' },
    expect: says('4711\n4712\n4712'),
  },
  {
    name: 'a user that the image does not know',
    spec: { args: ['id'], user: 'nosuchuser' },
    expect: (finished) => {
      expectVerdict(finished, { outcome: 'IMAGE_ERROR', effect: 'NEVER_STARTED' })
      assert.match(finished.verdict.message, /nosuchuser/)
    },
  },
  {
    name: 'a group that the image does not know',
    spec: { args: ['id'], user: 'guest:nosuchgroup' },
    expect: (finished) => {
      expectVerdict(finished, { outcome: 'IMAGE_ERROR', effect: 'NEVER_STARTED' })
      assert.match(finished.verdict.message, /nosuchgroup/)
    },
  },
  {
    name: 'a folder that is missing is made, and is the user\u2019s',
    spec: { args: sh('pwd; stat -c "%u:%g %a" .; touch mine'), cwd: '/srv/deep/down', user: 'guest' },
    expect: says('/srv/deep/down\n1000:1000 755'),
  },
  {
    name: 'a folder that is a file',
    spec: { args: ['pwd'], cwd: '/etc/passwd' },
    expect: (finished) => {
      expectVerdict(finished, { outcome: 'IMAGE_ERROR', effect: 'NEVER_STARTED' })
      assert.match(finished.verdict.message, /\/etc\/passwd/)
    },
  },
  {
    name: 'a folder that leads out of the image by links stays inside',
    spec: { args: sh('pwd -P'), cwd: '/proc/1/root/tmp' },
    // Refused, or resolved within the sandbox's own root: never the host's.
    expect: (finished) => assert.ok(finished.verdict.outcome === 'IMAGE_ERROR' || !finished.stdout.includes('caisson')),
  },
  {
    name: 'the program is found in the PATH of the run',
    spec: { args: ['tool'], env: { PATH: '/opt:/bin' } },
    expect: (finished) => expectVerdict(finished, { outcome: 'IMAGE_ERROR', effect: 'NEVER_STARTED' }),
  },
  {
    name: 'many words, long words',
    spec: {
      args: [
        'sh',
        '-c',
        'echo $#; shift 1999; printf %s "$1" | wc -c',
        'sh',
        ...Array.from({ length: 1999 }, () => 'x'),
        'y'.repeat(100_000),
      ],
    },
    expect: says('2000\n100000'),
  },
  {
    name: 'what a run wrote is gone in the next one',
    spec: {
      args: sh('cat /etc/motd 2>/dev/null; echo leaked > /etc/motd; echo x >> /etc/passwd; tail -n 1 /etc/passwd | cut -c 1-6'),
    },
    expect: says('x'),
  },
  {
    name: 'and its next run indeed',
    spec: { args: sh('cat /etc/motd 2>/dev/null; tail -n 1 /etc/passwd | cut -d : -f 1') },
    expect: says('nobody'),
  },
  {
    name: 'files of the image: owners, modes, links, removal, renaming',
    spec: {
      args: sh(
        'stat -c "%u %a" /tmp /home/guest /root; rm /bin/vi && ! ls /bin/vi 2>/dev/null; mv /home /home2 && ls /home2; ln /etc/group /etc/group2 && stat -c %h /etc/group2',
      ),
    },
    expect: says('0 1777\n1000 755\n0 700\nguest\n2'),
  },
]
