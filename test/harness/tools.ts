// Programs that scripts/setup tests installed.

import { execFileSync } from 'node:child_process'

/** A variable of scripts/paths. */
function path(name: string): string {
  return execFileSync('bash', ['-c', `. scripts/paths && printf %s "$${name}"`], { encoding: 'utf8' })
}

export const grpcurl = path('grpcurl')
/** With the packages of test/harness/python/requirements.txt. */
export const pythonClient = `${path('python_client')}/bin/python`
