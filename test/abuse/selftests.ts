// What each of the kernel's own tests said, and why it cannot be content behind a wall that holds.

export interface Selftest {
  name: string
  passed: number
  failed: number
  skipped: number
  /** Undefined: it ended by itself. */
  cut?: string
  /** What it complained of most often, in its own words, by line of its source. */
  complaint?: string
}

const noNamespaces = 'makes namespaces: clone, unshare and setns are EPERM where they ask for one'
const noClone3 = 'clone3 is ENOSYS: no filter sees its flags'

/** Of those that fail. One that fails and is not here is a fault: either a wall fell, or somebody must look. */
const reasons: Record<string, string> = {
  base_test: 'expects the Landlock of its own kernel; keyctl is EPERM',
  clone3_cap_checkpoint_restore: noClone3,
  fs_test: 'gives itself capabilities to mount what it tests on: there are none',
  mount_setattr_test: noNamespaces,
  'nosymfollow-test': noNamespaces,
  owner: noNamespaces,
  pidfd_fdinfo_test: noNamespaces,
  pidfd_getfd_test: 'pidfd_getfd and other user ids are EPERM',
  pidfd_setns_test: noNamespaces,
  pidfd_wait: noClone3,
  pidns: noNamespaces,
  ptrace_test: '/proc shows no other process (hidepid), where it expects to see one that it may not read',
  resolve_test: noNamespaces,
  seccomp_bpf:
    'kcmp is EPERM, clone3 ENOSYS; a filter and no_new_privs are there before its own; parts make namespaces or ask for capabilities',
  'unprivileged-remount-test': noNamespaces,
}

/** Of 137: killed, by its own doing or by a limit. */
const ends: Record<number, string> = { 124: 'took too long', 137: 'killed' }
const skippedCode = 4

/** Each program once, as `script` in programs.ts writes them: `== NAME CODE`, then its output. */
export function readSelftests(stdout: string): Selftest[] {
  const parts = stdout.split(/^== /m).slice(1)
  return parts.map((part) => {
    const [head = '', ...lines] = part.split('\n')
    const [name = '', code = ''] = head.split(' ')
    return read(name, Number(code), lines)
  })
}

function read(name: string, code: number, lines: string[]): Selftest {
  const count = (what: RegExp) => lines.filter((line) => what.test(line)).length
  const skips = count(/^ok .*# SKIP/)
  const said = { passed: count(/^ok /) - skips, failed: count(/^not ok /), skipped: skips }
  const complaint = complaintOf(lines)
  const cut = ends[code]
  const spoke = said.passed + said.failed + said.skipped > 0 || cut !== undefined
  return { name, ...(spoke ? said : byCode(code)), ...(cut && { cut }), ...(complaint && { complaint }) }
}

/** Some speak no TAP, or end before they could. */
function byCode(code: number): Pick<Selftest, 'passed' | 'failed' | 'skipped'> {
  return { passed: Number(code === 0), failed: Number(code !== 0 && code !== skippedCode), skipped: Number(code === skippedCode) }
}

function complaintOf(lines: string[]): string | undefined {
  const counts = new Map<string, number>()
  for (const line of lines) {
    if (!/Expected|Bail out|failed:|not permitted|not implemented|# SKIP/.test(line)) continue
    const text = line
      .replace(/^# /, '')
      .replace(/\/\S*\/selftests\//, '')
      .replace(/^ok \d+ # SKIP/, 'skips:')
      .slice(0, 120)
    counts.set(text, (counts.get(text) ?? 0) + 1)
  }
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0]
}

export const isUnexplained = ({ name, failed }: Selftest): boolean => failed > 0 && !(name in reasons)

export function describeSelftest(test: Selftest): string {
  const { name, passed, failed, skipped, cut, complaint } = test
  const counts = `${passed} passed, ${failed} failed, ${skipped} skipped`
  const why = isUnexplained(test) ? '; NOT EXPLAINED' : failed > 0 ? `; ${reasons[name]}` : ''
  const words = complaint ? ` (${complaint})` : ''
  return `${name}: ${counts}${cut ? `, ${cut}` : ''}${why}${words}`
}
