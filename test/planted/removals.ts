// The walls that a planted build can leave out, alone and together.

export interface Removal {
  /** Several with commas between. */
  wall: string
  /** Programs that must notice, every one. Empty: nobody can. */
  noticedBy: string[]
  /** Why nobody can notice: which other wall stands behind it. */
  behind?: string
  /** No sandbox starts without it: the service itself notices. */
  stops?: true
}

export const removals: Removal[] = [
  { wall: 'namespace-user', noticedBy: [], stops: true },
  { wall: 'namespace-mount', noticedBy: [], stops: true },
  { wall: 'namespace-pid', noticedBy: [], behind: 'namespace-pid-nested' },
  { wall: 'namespace-pid-nested', noticedBy: ['processes', 'interference'] },
  { wall: 'namespace-pid,namespace-pid-nested', noticedBy: ['processes'] },
  { wall: 'namespace-net', noticedBy: ['interfaces'] },
  { wall: 'namespace-ipc', noticedBy: ['ipc'] },
  { wall: 'namespace-uts', noticedBy: ['hostname'] },
  { wall: 'namespace-time', noticedBy: ['hostname'] },
  { wall: 'namespace-cgroup', noticedBy: ['cgroups'] },
  { wall: 'ids', noticedBy: ['uids'] },
  { wall: 'owner', noticedBy: ['inotify'] },
  { wall: 'limit-memory', noticedBy: ['memory'] },
  { wall: 'limit-sockets', noticedBy: ['socket-buffers'] },
  { wall: 'limit-pids', noticedBy: ['forks'] },
  { wall: 'limit-cpu', noticedBy: ['cpu'] },
  { wall: 'limit-disk', noticedBy: ['disk'] },
  { wall: 'seccomp', noticedBy: ['numbers'] },
  { wall: 'capabilities', noticedBy: ['capabilities'] },
  { wall: 'no-new-privs', noticedBy: ['capabilities'] },
  { wall: 'nosuid', noticedBy: ['file-capabilities'] },
  { wall: 'nosuid,no-new-privs', noticedBy: ['setuid'] },
  { wall: 'nodev', noticedBy: ['devices'] },
  { wall: 'masks', noticedBy: ['masked'] },
  { wall: 'read-only', noticedBy: ['settings'] },
  { wall: 'read-only-sys', noticedBy: ['sysfs'] },
  { wall: 'sys', noticedBy: ['disks'] },
  { wall: 'hidepid', noticedBy: ['processes'] },
  { wall: 'init', noticedBy: ['interference'] },
  { wall: 'descriptors', noticedBy: ['descriptors'] },
  { wall: 'sealed', noticedBy: [], behind: 'hidepid, init and capabilities: nobody can open it' },
  { wall: 'sealed,capabilities', noticedBy: ['agent-binary'] },
]
