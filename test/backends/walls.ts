// What the program cannot see, reach or do.

import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { describeVerdict, sh } from '../harness/finish.js'
import { python } from '../harness/images.js'
import { type Case, exited, says } from './case.js'

/** Each of these shell commands must fail; the ones that do not are named. */
function fails(...commands: string[]): Pick<Case, 'spec' | 'expect'> {
  const tries = commands.map((command) => `(${command}) > /dev/null 2>&1 && echo ${JSON.stringify(`worked: ${command}`)}`)
  return { spec: { args: sh(`${tries.join('\n')}\necho tried ${commands.length}`) }, expect: says(`tried ${commands.length}`) }
}

export const walls: Case[] = [
  {
    name: 'no capabilities, no new privileges, a system call filter',
    spec: { args: sh('grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status') },
    expect: (finished) => {
      exited(finished)
      const status = new Map(
        finished.stdout
          .toString()
          .trim()
          .split('\n')
          .map((line) => line.split(/:\s*/) as [string, string]),
      )
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) assert.equal(status.get(set), '0000000000000000', set)
      assert.equal(status.get('NoNewPrivs'), '1')
      assert.equal(status.get('Seccomp'), '2')
    },
  },
  {
    name: 'loopback only, and it works',
    spec: {
      image: python,
      args: [
        '-c',
        'import socket\nprint(sorted(n for _, n in socket.if_nameindex()))\ns = socket.create_server(("127.0.0.1", 0))\nc = socket.create_connection(s.getsockname())\na, _ = s.accept()\nc.sendall(b"hi"); print(a.recv(2).decode())\ntry: socket.create_connection(("192.0.2.1", 80), 1)\nexcept OSError as e: print(e.errno)',
      ],
    },
    expect: says("['lo']\nhi\n101"),
  },
  {
    name: 'mounts are refused',
    ...fails(
      'mount -t tmpfs none /mnt',
      'mount -t proc none /proc',
      'mount --bind / /mnt',
      'umount /proc',
      'mount -o remount,rw /sys',
      'mount -o remount,rw /proc/sys',
    ),
  },
  {
    name: 'namespaces are refused',
    ...fails('unshare -U true', 'unshare -r true', 'unshare -n true', 'unshare -m true', 'nsenter -t 1 -m true'),
  },
  {
    name: 'devices cannot be made',
    ...fails(
      'mknod /tmp/null c 1 3',
      'mknod /tmp/sda b 8 0',
      'cat /dev/mem',
      'cat /dev/kmsg',
      'ls /dev/loop0',
      'ls /dev/fuse',
      'ls /dev/kvm',
    ),
  },
  {
    name: 'kernel settings are out of reach',
    ...fails(
      'echo 1 > /proc/sys/kernel/sysrq',
      'echo h > /proc/sysrq-trigger',
      'echo x > /proc/sys/kernel/core_pattern',
      'echo 1 > /sys/kernel/uevent_helper',
      'mkdir /sys/x',
      'hostname other',
      'dmesg | grep .',
      'swapon /etc/passwd',
      'insmod /etc/passwd',
      'chroot / true',
      'reboot -f',
    ),
  },
  {
    name: 'secrets of the kernel read as nothing',
    spec: {
      args: sh(
        'for f in /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/sched_debug /proc/scsi /proc/acpi /sys/firmware; do if [ -d $f ]; then ls $f; elif [ -e $f ]; then head -c 1 $f 2>/dev/null | wc -c | grep -v "^0$"; fi; done; echo end',
      ),
    },
    expect: says('end'),
  },
  {
    name: 'it sees its own processes only',
    spec: { args: sh('ls /proc | grep -c "^[0-9]*$"; ps | wc -l') },
    expect: (finished) => {
      exited(finished)
      assert.ok(Number(finished.stdout.toString().split('\n')[0]) <= 5, finished.stdout.toString())
    },
  },
  {
    name: 'its init is not to be touched',
    ...fails(
      'kill -9 1 && sleep 0.1 && ! kill -0 1',
      'cat /proc/1/environ | grep .',
      'ls /proc/1/fd/',
      'cat /proc/1/mem',
      'ls /proc/1/root/',
      'readlink /proc/1/exe',
    ),
  },
  {
    name: 'the host does not show',
    spec: {
      args: sh('hostname; cat /proc/self/mountinfo /proc/self/cgroup /proc/mounts; ls / /dev; env; cat /proc/self/cmdline'),
    },
    expect: (finished) => {
      exited(finished)
      const seen = finished.stdout.toString()
      assert.ok(!new RegExp(`^${hostname()}$`, 'm').test(seen), seen)
      // Nothing of where the service keeps things, and no path of a cgroup above its own.
      for (const word of ['caisson', '/var/lib', '/run/', '/home/user', 'overlay-'])
        assert.ok(!seen.includes(word), `${word} in ${seen}`)
    },
  },
  {
    name: '/dev holds what programs need and no more',
    spec: {
      args: sh(
        'ls /dev | tr "\\n" " "; echo x > /dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo x > /dev/full',
      ),
    },
    expect: (finished) => {
      const [devices = '', zero, random] = finished.stdout.toString().split(/ (?=4\n)|\n/)
      assert.deepEqual([zero, random], ['4', '4'], describeVerdict(finished))
      const allowed = [
        'null',
        'zero',
        'full',
        'random',
        'urandom',
        'tty',
        'fd',
        'stdin',
        'stdout',
        'stderr',
        'shm',
        'pts',
        'ptmx',
        'mqueue',
        'core',
        'console',
      ]
      for (const device of devices.trim().split(' ')) assert.ok(allowed.includes(device), `${device} in ${devices}`)
      assert.match(finished.stderr.toString(), /No space left/)
    },
  },
  {
    name: 'only its own three descriptors are open',
    spec: { image: python, args: ['-c', 'import os\nprint(sorted(int(f) for f in os.listdir("/proc/self/fd"))[:-1])'] },
    expect: says('[0, 1, 2]'),
  },
  {
    name: 'risky system calls are denied',
    spec: {
      image: python,
      args: [
        '-c',
        // keyctl, bpf, perf_event_open, userfaultfd, io_uring_setup, open_by_handle_at, kexec_load, mount_setattr, fsopen, pidfd_getfd, process_vm_readv
        'import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nfor n in (250, 321, 298, 323, 425, 304, 246, 442, 430):\n  ctypes.set_errno(0)\n  r = libc.syscall(n, 0, 0, 0, 0, 0)\n  if r >= 0 or ctypes.get_errno() not in (1, 38): print(n, r, ctypes.get_errno())\nimport socket, time\ntry: time.clock_settime(time.CLOCK_REALTIME, 1); print("clock")\nexcept OSError: pass\nfor family in (38, 16, 17, 40):\n  try: socket.socket(family, socket.SOCK_RAW if family in (16, 17) else socket.SOCK_SEQPACKET if family == 38 else socket.SOCK_STREAM); print("socket", family)\n  except OSError: pass\nprint("tried")',
      ],
    },
    expect: (finished) => {
      exited(finished)
      // A netlink socket (16) shows its own namespace only: programs that list interfaces use it.
      assert.match(finished.stdout.toString(), /^(socket 16\n)?tried\n$/)
    },
  },
  {
    name: 'a set-user-id program gains nothing',
    spec: {
      args: sh(
        'cp /bin/busybox /tmp/su && chmod 4755 /tmp/su && stat -c %a /tmp/su; exec setpriv --reuid 1000 /tmp/su id -u 2>/dev/null || true',
      ),
    },
    expect: (finished) => assert.ok(!finished.verdict.observed.agentLost),
  },
]
