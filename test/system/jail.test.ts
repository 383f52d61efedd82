// The jail around QEMU: what a real one has, and what its filter lets through, asked by a program in its place.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import type { CaissonError } from '../../client/sdk/error.js'
import { finish } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { busybox } from '../harness/images.js'
import { landlock } from '../harness/landlock.js'
import { vmm } from '../harness/machines.js'
import { knownOffers, machineOffer } from '../harness/offers.js'
import { until } from '../harness/until.js'

const run = promisify(execFile)
const mib = 1 << 20

const real = await Fixture.start({ args: ['--allow-emulation', '--machine-memory-bytes', '0'] })
const probing = await Fixture.start({}, probingGuest)

test('a VMM has no rights, sees no files but its own, and is limited', { timeout: 120_000 }, async () => {
  const { instance, caisson } = real
  await knownOffers(caisson)
  const { runId } = await caisson.submit({ image: busybox, args: ['sleep', '100'], isolation: 'MICROVM_REQUIRED' })
  const finished = finish(caisson.watch(runId))
  await until('it runs', 60_000, async () => (await caisson.get(runId)).state === 'RUNNING')
  const pid = await vmm(instance)
  for (const thread of await readdir(`/proc/${pid}/task`))
    expectNoRights(await readFile(`/proc/${pid}/task/${thread}/status`, 'utf8'))
  await expectOwnNamespaces(pid)
  await expectOwnFiles(pid)
  await expectLimits(pid)
  await caisson.cancel(runId)
  assert.equal((await finished).verdict.outcome, 'CANCELLED')
})

const rate = 2 * mib
/** What only its page cache took is on no disk yet. */
const slowly = {
  image: busybox,
  args: ['sh', '-c', 'dd if=/dev/zero of=/f bs=1M count=8 oflag=direct'],
  limits: { diskBytesPerSecond: rate },
}

test('the disk of a machine is as slow as the run was told', { timeout: 120_000 }, async () => {
  const { verdict } = await finish(real.caisson.run({ ...slowly, isolation: 'MICROVM_REQUIRED' }))
  assert.equal(verdict.outcome, 'EXITED', verdict.message)
  // Less what the throttle lets through at once.
  assert.ok((verdict.usage.wallUs ?? 0) > (7 * mib * 1e6) / rate, `8 MiB in ${verdict.usage.wallUs} us`)
})

test('a rate of a disk that a container could not keep is refused', async () => {
  const offers = await knownOffers(real.caisson)
  const why = offers.find(({ backend }) => backend === 'container')?.diskRateUnavailable
  const submitted = real.caisson.run({ ...slowly, isolation: 'CONTAINER' })
  if (why === '') {
    const { verdict } = await finish(submitted)
    assert.ok((verdict.usage.wallUs ?? 0) > (7 * mib * 1e6) / rate, `8 MiB in ${verdict.usage.wallUs} us`)
    return
  }
  await assert.rejects(finish(submitted), (error: CaissonError) => {
    assert.deepEqual(
      error.violations.map(({ field }) => field),
      ['spec.limits.disk_bytes_per_second'],
    )
    assert.match(error.message, /cgroup v2/)
    return true
  })
})

function expectNoRights(status: string): void {
  const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1]?.split(/\s+/) ?? []
  assert.deepEqual(field('Seccomp'), ['2'])
  assert.deepEqual(field('Seccomp_filters'), ['3'], "the launcher's own, the launcher's for a VMM, and its own")
  assert.deepEqual(field('NoNewPrivs'), ['1'])
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) assert.deepEqual(field(set), ['0000000000000000'], set)
  for (const ids of [field('Uid'), field('Gid')]) assert.ok(new Set(ids).size === 1 && Number(ids[0]) >= 65_536, ids.join(' '))
  assert.deepEqual(field('Groups').filter(Boolean), [])
}

async function expectOwnNamespaces(pid: number): Promise<void> {
  for (const kind of ['user', 'mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'time'])
    assert.notEqual(await readlink(`/proc/${pid}/ns/${kind}`), await readlink(`/proc/self/ns/${kind}`), kind)
}

async function expectOwnFiles(pid: number): Promise<void> {
  assert.deepEqual((await readdir(`/proc/${pid}/root`)).sort(), ['dev', 'lib', 'lib64', 'proc', 'usr'])
  const devices = (await readdir(`/proc/${pid}/root/dev`)).filter((name) => name !== 'kvm')
  assert.deepEqual(devices.sort(), ['null', 'urandom'])
  const facts = (await readdir(`/proc/${pid}/root/proc`)).filter((name) => !/^\d+$/.test(name))
  assert.deepEqual(facts.sort(), ['self', 'thread-self'])
  const mounts = (await readFile(`/proc/${pid}/mountinfo`, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
  const points = mounts.map((fields) => `${fields[4]} ${fields[4] === '/proc' ? '' : fields[5]?.split(',')[0]}`)
  assert.deepEqual(points.sort(), ['/ ro', '/proc ', '/usr ro'])
  for (const descriptor of await readdir(`/proc/${pid}/fd`)) {
    const target = await readlink(`/proc/${pid}/fd/${descriptor}`)
    assert.match(target, /^(?:socket:|anon_inode:|\/memfd:|\/dev\/(?:null|kvm$)|.*\/(?:scratch|layers|guest)\/)/, target)
    if (!/\/(?:layers|guest)\//.test(target)) continue
    const flags = /^flags:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/fdinfo/${descriptor}`, 'utf8'))?.[1] ?? ''
    assert.equal(Number.parseInt(flags, 8) & 3, 0, `${target} is open for reading only`)
  }
}

async function expectLimits(pid: number): Promise<void> {
  const limits = await readFile(`/proc/${pid}/limits`, 'utf8')
  for (const [name, most] of [
    ['core file size', 0],
    ['locked memory', 0],
    ['open files', 512],
    ['processes', 128],
  ] as const)
    assert.match(limits, new RegExp(`^Max ${name} +${most} +${most} `, 'm'))
  assert.match(limits, /^Max file size +\d+ +\d+ /m)
  const memory = await memoryLimit(pid)
  assert.ok(memory > 256 * mib && memory < 1024 * mib, `${memory} bytes for a guest of 256 MiB`)
}

/** Of its cgroup, in whichever hierarchy has the controller. */
async function memoryLimit(pid: number): Promise<number> {
  const groups = (await readFile(`/proc/${pid}/cgroup`, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => line.split(':'))
  const v1 = groups.find(([, controllers]) => controllers?.split(',').includes('memory'))
  const table = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')
  const kind = v1 ? / - cgroup .*\bmemory\b/ : / - cgroup2 /
  const mount = table.find((line) => kind.test(line))?.split(' ')[4] ?? ''
  const path = (v1 ?? groups.find(([id]) => id === '0'))?.[2] ?? ''
  return Number(await readFile(join(mount, path, v1 ? 'memory.limit_in_bytes' : 'memory.max'), 'utf8'))
}

interface Call {
  name: string
  number?: number
  when?: object
}

test('the filter allows no call that its list does not', { timeout: 120_000 }, async () => {
  const offer = await machineOffer(probing.caisson)
  assert.match(offer?.unavailable ?? '', /emulated: launcher: VMM ended: refused all of [4-9]\d\d calls\b/)
})

async function probingGuest() {
  const text = await readFile(new URL('../../../native/launcher/vmm.seccomp.json', import.meta.url), 'utf8')
  const { allow, deny } = JSON.parse(text) as Record<'allow' | 'deny', Call[]>
  const folder = await mkdtemp(join(tmpdir(), 'caisson-jail-'))
  await makeGuest(folder, probe(allow, deny))
  const undo = () => rm(folder, { recursive: true })
  return { options: { args: ['--allow-emulation', '--guest', folder] }, undo }
}

/** A guest folder whose VMM is another program. */
async function makeGuest(folder: string, source: string): Promise<void> {
  const programs = join(folder, 'vmm/usr/bin')
  await mkdir(programs, { recursive: true })
  await symlink('/dev/null', join(folder, 'kernel'))
  await writeFile(join(folder, 'version'), 'test')
  await writeFile(join(folder, 'probe.c'), source)
  await run('gcc', ['-static', '-O1', '-o', join(programs, 'qemu-system-x86_64'), join(folder, 'probe.c')])
  await run('chmod', ['-R', 'a+rX', folder])
}

/** Asks for every call that is not allowed, and for some that are with arguments that are not. What it says ends in the worker's offer. */
function probe(allow: Call[], deny: Call[]): string {
  return `
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
static int allowed[] = { ${numbers(allow)} }, denied[] = { ${numbers(deny)} };
static int holds(int *list, int count, int number) {
  for (int i = 0; i < count; i++) if (list[i] == number) return 1;
  return 0;
}
#define HOLDS(list, number) holds(list, sizeof list / sizeof *list, number)
static const char *fenced[] = { "/", "/dev", "/proc/self/status" };
static int wrong, asked;
static void expect(int number, long answer, int wanted) {
  asked++;
  if (answer == -1 && errno == wanted) return;
  if (wrong++ < 10) fprintf(stderr, "call %d: %ld, errno %d; ", number, answer, errno);
}
int main(void) {
  for (int number = 0; number < 600; number++) {
    // uretprobe and uprobe: trampolines of the kernel's own, about which it asks no filter.
    if (HOLDS(allowed, number) || number == 335 || number == 336) continue;
    long answer = syscall(number, -1, -1, -1, -1, -1, -1);
    expect(number, answer, HOLDS(denied, number) ? EPERM : ENOSYS);
  }
  expect(SYS_clone, syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), EPERM);
  expect(SYS_ioctl, syscall(SYS_ioctl, 0, TCGETS, 0), EPERM);
  expect(SYS_prctl, syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0), EPERM);
  expect(SYS_prlimit64, syscall(SYS_prlimit64, 0, 7, &wrong, 0), EPERM);
  expect(SYS_execveat, syscall(SYS_execveat, -100, "/usr/bin/qemu-system-x86_64", 0, 0, 0), EPERM);
  // Nothing but Landlock keeps its own root from it.
  if (${Number(landlock().works)})
    for (int at = 0; at < 3; at++) expect(SYS_openat, syscall(SYS_openat, AT_FDCWD, fenced[at], O_RDONLY), EACCES);
  if (syscall(SYS_openat, AT_FDCWD, "/usr/bin/qemu-system-x86_64", O_RDONLY) == -1) wrong++;
  if (wrong) fprintf(stderr, "%d of %d calls were not refused", wrong, asked);
  else fprintf(stderr, "refused all of %d calls", asked);
  return 1;
}
`
}

function numbers(calls: Call[]): string {
  return calls.map(({ name, number }) => number ?? `SYS_${name}`).join(', ')
}
