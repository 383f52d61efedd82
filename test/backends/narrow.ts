// What the client takes away from its program, and what the operator lets it have.

import assert from 'node:assert/strict'
import { describeVerdict, sh } from '../harness/finish.js'
import { python } from '../harness/images.js'
import { type Case, exited, says } from './case.js'

/** Of capabilities(7): CAP_NET_BIND_SERVICE. */
const bind = (1 << 10).toString(16).padStart(16, '0')

const profile = {
  defaultAction: 'SCMP_ACT_ALLOW',
  architectures: ['SCMP_ARCH_X86_64'],
  syscalls: [
    { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 122 },
    { names: ['symlink', 'symlinkat'], action: 'SCMP_ACT_KILL_PROCESS' },
    { names: ['kill'], action: 'SCMP_ACT_ERRNO', args: [{ index: 1, value: 10, op: 'SCMP_CMP_EQ' }] },
    { names: ['unshare', 'mount'], action: 'SCMP_ACT_ALLOW' },
  ],
}

export const narrow: Case[] = [
  {
    name: 'a profile of the client takes away, and gives nothing',
    spec: {
      seccomp: JSON.stringify(profile),
      args: sh('mkdir /d; ln -s a /b; echo $?; kill -10 $$ || kill -0 $$ && echo kept; unshare -U true || echo still denied'),
    },
    expect: (finished) => {
      says('159\nkept\nstill denied')(finished)
      assert.match(finished.stderr.toString(), /quota exceeded/i, describeVerdict(finished))
    },
  },
  {
    name: 'a capability that was granted counts for a user that is not root, and no other comes with it',
    spec: {
      image: python,
      capabilities: ['CAP_NET_BIND_SERVICE'],
      args: [
        '-c',
        'import os, socket\nsocket.create_server(("127.0.0.1", 80)).close()\nprint(os.getuid())\nfor line in open("/proc/self/status"):\n  if line.startswith("Cap"): print(line.split()[1])\ntry: os.chown("/tmp", 0, 0)\nexcept PermissionError: print("denied")',
      ],
    },
    expect: (finished) => {
      exited(finished)
      assert.equal(finished.stdout.toString(), `1000\n${`${bind}\n`.repeat(5)}denied\n`)
    },
  },
]
