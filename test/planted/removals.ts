// The walls that a planted build can leave out. Three namespaces are not among them: without its own mount namespace, what the launcher
// does to a sandbox's mounts it would do to the host's; without its own network or (outer) pid namespace no sandbox starts, for the kernel
// mounts /sys and /proc only for who owns these.

export interface Removal {
  wall: string
  /** Why nobody can notice: which other wall stands behind it. */
  behind?: string
}

export const removals: Removal[] = [
  { wall: 'ids' },
  { wall: 'owner' },
  { wall: 'namespace-ipc' },
  { wall: 'namespace-uts' },
  { wall: 'namespace-time' },
  { wall: 'namespace-cgroup' },
  { wall: 'namespace-pid-nested' },
  { wall: 'hidepid' },
  { wall: 'init' },
  { wall: 'limit-memory' },
  { wall: 'limit-pids' },
  { wall: 'limit-cpu' },
  { wall: 'limit-disk' },
  { wall: 'limit-sockets' },
  { wall: 'seccomp' },
  { wall: 'masks' },
  { wall: 'read-only' },
  { wall: 'sys' },
  { wall: 'capabilities' },
  { wall: 'no-new-privs' },
  { wall: 'descriptors' },
  { wall: 'nodev' },
  { wall: 'nosuid', behind: 'no_new_privs' },
  { wall: 'nosuid,no-new-privs' },
]
