// The capabilities that an operator may grant to a tenant, and their numbers. They are those that count within the sandbox's own user
// namespace and nowhere else, and open no part of the kernel that the filter of system calls would not have open anyway. The agent keeps
// the same list, and gives no other whatever it is told.

const grantable = new Map([
  ['CAP_CHOWN', 0],
  ['CAP_DAC_OVERRIDE', 1],
  ['CAP_FOWNER', 3],
  ['CAP_FSETID', 4],
  ['CAP_KILL', 5],
  ['CAP_SETGID', 6],
  ['CAP_SETUID', 7],
  ['CAP_NET_BIND_SERVICE', 10],
])

export const grantableNames: readonly string[] = [...grantable.keys()]

export const isGrantable = (name: string): boolean => grantable.has(name)

export function capabilityNumber(name: string): number {
  const number = grantable.get(name)
  if (number === undefined) throw new Error(`${name} cannot be granted`)
  return number
}
