// The walls that a planted build can leave out. The mount namespace is not among them: without it, what the launcher does to a sandbox's
// mounts it would do to the host's.

export interface Removal {
  wall: string
  /** Why nobody can notice: which other wall stands behind it. */
  behind?: string
}

export const removals: Removal[] = [
  { wall: 'ids' },
  { wall: 'owner' },
  { wall: 'namespace-net' },
  { wall: 'namespace-ipc' },
  { wall: 'namespace-uts' },
  { wall: 'namespace-time' },
  { wall: 'namespace-cgroup' },
  { wall: 'namespace-pid', behind: "the nested one, of the agent's making" },
  { wall: 'namespace-pid-nested' },
  { wall: 'namespace-pid,namespace-pid-nested' },
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
