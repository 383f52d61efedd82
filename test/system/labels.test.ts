// AppArmor, where the machine has it: what sandboxes are held to, that this is told, and that it is a wall without the others.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { probeMachine } from '../../client/doctor/machine.js'
import { findInstallation } from '../../client/up/installation.js'
import { describeVerdict, run, sh } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { slowness } from '../harness/slowness.js'

const probe = await probeMachine(findInstallation())
const found = probe instanceof Error ? undefined : probe.facts.find(({ name }) => name === 'AppArmor, SELinux')
const skip = found?.works ? false : (found?.detail ?? String(probe))
const timeout = 60_000 * slowness

const program = 'caisson.agent//&caisson.program (enforce)'

const fixture = skip ? undefined : await Fixture.start()

describe('with AppArmor', { skip }, () => {
  if (!fixture) return
  const { caisson } = fixture

  test('a program is held to two profiles, and whatever it starts', { timeout }, async () => {
    const finished = await run(caisson, { args: sh('cat /proc/self/attr/current; sh -c "(cat /proc/self/attr/current)"') })
    assert.equal(finished.stdout.toString(), `${program}\n${program}\n`, describeVerdict(finished))
    const { payload } = JSON.parse((await caisson.receipt(finished.runId)).toString())
    const { predicate } = JSON.parse(Buffer.from(payload, 'base64').toString())
    assert.equal(predicate.wall.label, 'caisson.agent (enforce)')
  })

  test('it may debug and signal its own', { timeout }, async () => {
    const finished = await run(caisson, {
      args: sh('sleep 9 & kill -0 $! && cat /proc/$!/environ > /dev/null && kill $! && wait; echo done'),
    })
    assert.equal(finished.stdout.toString(), 'done\n', describeVerdict(finished))
  })

  // As root of the machine, behind no other wall. The launcher that runs here has loaded the profiles.
  for (const [what, script] of [
    ['mount', 'mount -t tmpfs none /mnt'],
    ['unmount', 'umount -l /proc'],
    ['setting of the kernel', 'echo "$(cat /proc/sys/kernel/panic)" > /proc/sys/kernel/panic'],
    ['system request', ': > /proc/sysrq-trigger'],
    ['device', ': < /dev/loop-control'],
    ['host name', 'hostname other'],
    ['root', 'chroot / true'],
    ['signal to a process outside', `kill -0 ${process.pid}`],
    ['environment of a process outside', `cat /proc/${process.pid}/environ > /dev/null`],
    ['other profile', 'echo changeprofile caisson.agent > /proc/self/attr/current'],
  ] as const)
    test(`its profile alone forbids: ${what}`, { timeout }, () => {
      const apart = (...words: string[]) => spawnSync('unshare', ['--mount', '--uts', ...words, 'sh', '-c', script]).status
      if (what !== 'other profile') assert.equal(apart(), 0, 'without the profile it works')
      assert.notEqual(apart('aa-exec', '--profile', 'caisson.program', '--'), 0)
    })

  test('what a helper may open is not the machine’s', { timeout }, () => {
    const { status } = spawnSync('aa-exec', ['--profile', 'caisson.helper', '--', '/usr/bin/true'])
    assert.notEqual(status, 0, 'it read its libraries')
    execFileSync('aa-exec', ['--profile', 'caisson.agent', '--', '/usr/bin/true'])
  })
})
