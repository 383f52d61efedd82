// What to do about a fact of the launcher's probe that does not hold.

const ofNamespaces = 'a kernel with this kind of namespace, and a host (or outer container) that lets root make them'
const ofModules = 'modprobe loop squashfs overlay ext4, on a kernel that has them'

const remedies: Record<string, string> = {
  'kernel version': 'boot a newer kernel',
  root: 'run doctor as root',
  seccomp: 'a kernel with CONFIG_SECCOMP_FILTER',
  Landlock: 'a kernel with CONFIG_SECURITY_LANDLOCK, and landlock among lsm=',
  'AppArmor, SELinux': 'apt-get install apparmor, where the kernel has AppArmor on; else nothing: it would be one wall more',
  CAP_SYS_RESOURCE: 'raise the hard limit before starting (ulimit -Hn), or start where root has the capability',
  cgroups:
    'mount cgroup2 with the controllers cpu, memory and pids, or the v1 controllers with an empty v2 tree; in a container, first move all processes into a child of its cgroup',
  'cgroup.kill': 'Linux 5.14 or newer, with cgroup2 mounted',
  'memory events': 'enable the memory controller',
  'usage counters': 'nothing: these figures are absent from usage',
  'page reclaim': 'echo n > /sys/kernel/mm/lru_gen/enabled, at each boot',
  'loop device': ofModules,
  squashfs: ofModules,
  'scratch disk': `apt-get install e2fsprogs; ${ofModules}`,
  'idmapped squashfs': 'a kernel that maps ids of squashfs mounts',
  overlay: ofModules,
}

export function remedyOf(fact: string): string {
  return remedies[fact] ?? (fact.endsWith('namespace') ? ofNamespaces : 'see the reason')
}
