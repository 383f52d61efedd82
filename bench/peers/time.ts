// Times local commands without Node in the way.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * Milliseconds of each of `count` executions, `pauseMs` apart. In a mount namespace of its own without the unified cgroup tree: crun 1.8 refuses to work
 * where controllers are on v1 and such a tree is mounted too.
 */
export async function timeCommand(count: number, command: string[], pauseMs = 0): Promise<number[]> {
  const python = ['python3', 'bench/peers/time_command.py', String(count), String(pauseMs), ...command]
  const prepare = 'if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi; exec "$@"'
  const { stdout } = await run('unshare', ['--mount', 'sh', '-c', prepare, 'sh', ...python], { maxBuffer: 64 << 20 })
  return (JSON.parse(stdout) as number[]).map((microseconds) => microseconds / 1000)
}
