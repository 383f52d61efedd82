// What the machine tells the host, as one file.

export const partNames = ['doctor', 'labels', 'behaviours', 'attack'] as const
export type Part = (typeof partNames)[number]

export interface Result {
  kernel: string
  /** Lines of /proc/mounts of every cgroup tree. */
  cgroups: string[]
  /** Of its root: "cpuset cpu io memory …" */
  controllers: string
  parts: { part: Part; exitCode: number; seconds: number }[]
}
