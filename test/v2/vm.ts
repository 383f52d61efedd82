// The machine itself: QEMU without a network, whose disk forgets what was written to it.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const machine = '/var/cache/caisson/machine'
/** Without a new byte for so long, it hangs. */
const silenceMs = 20 * 60_000
const lookMs = 1_000

export interface Machine {
  disks: string[]
  /** Shared with the machine, which writes its findings there. */
  results: string
  console: string
}

/** Until it is off. What its parts print is printed here. */
export async function boot({ disks, results, console }: Machine): Promise<void> {
  const drive = (file: string, option: string) => ['-drive', `file=${file},if=virtio,format=raw,${option}`]
  const words = ['root=/dev/vda', 'rw', 'console=ttyS0', 'cgroup_no_v1=all', 'mitigations=off', 'panic=-1']
  const args = [
    ...['-accel', 'tcg,thread=multi', '-cpu', 'Haswell-noTSX,-pcid,-x2apic,-tsc-deadline,-invpcid', '-smp', '2', '-m', '4096'],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-serial', `file:${console}`],
    ...['-kernel', `${machine}/kernel`, '-initrd', `${machine}/initrd`, '-append', words.join(' ')],
    ...drive(`${machine}/disk`, 'snapshot=on'),
    ...disks.flatMap((disk) => drive(disk, 'readonly=on')),
    ...['-virtfs', `local,path=${results},mount_tag=results,security_model=none`, '-device', 'virtio-rng-pci'],
  ]
  // It dies with us, however that happens.
  const command = ['--pdeathsig', 'KILL', 'nice', '-n', '10', 'qemu-system-x86_64', ...args]
  const qemu = spawn('setpriv', command, { stdio: ['ignore', 'inherit', 'inherit'] })
  const ended = once(qemu, 'exit')
  await Promise.race([ended, follow(qemu, results)])
  await ended
}

/** Prints what is new in any of the result's texts. */
async function follow(qemu: ChildProcess, results: string): Promise<void> {
  const shown = new Map<string, number>()
  for (let lastNews = Date.now(); qemu.exitCode === null && qemu.signalCode === null; await delay(lookMs)) {
    for (const name of (await readdir(results)).filter((name) => name === 'log' || name.endsWith('.txt'))) {
      const [from, { size }] = [shown.get(name) ?? 0, await stat(join(results, name))]
      if (size === from) continue
      for await (const chunk of createReadStream(join(results, name), { start: from, end: size - 1 })) process.stdout.write(chunk)
      shown.set(name, size)
      lastNews = Date.now()
    }
    if (Date.now() - lastNews < silenceMs) continue
    process.stderr.write(`nothing new for ${silenceMs / 60_000} minutes: the machine is ended\n`)
    qemu.kill('SIGKILL')
    return
  }
}
