// docker-credential-NAME: a program of the operator that prints a credential.
import { execFile } from 'node:child_process'
import { Credential } from './credential.js'

const limits = { timeout: 30_000, maxBuffer: 64 << 10 }
/** With this name the secret is an identity token. */
const tokenUser = '<token>'

export class HelperFailed extends Error {
  override readonly name = 'HelperFailed'
}

/** Undefined: it knows none for this host. Errors never hold what it printed. */
export async function askHelper(name: string, host: string): Promise<Credential | undefined> {
  const program = `docker-credential-${name}`
  const printed = await new Promise<string | undefined>((resolve, reject) => {
    const child = execFile(program, ['get'], { ...limits, killSignal: 'SIGKILL' }, (error, stdout) => {
      if (!error) resolve(stdout)
      else if (/credentials not found/i.test(stdout)) resolve(undefined)
      else reject(new HelperFailed(`${program} failed (${error.code ?? error.signal ?? 'unknown'})`))
    })
    child.stdin?.on('error', () => {})
    child.stdin?.end(`${host}\n`)
  })
  return printed === undefined ? undefined : read(printed, program)
}

function read(printed: string, program: string): Credential {
  let answer: { Username?: unknown; Secret?: unknown } | null
  try {
    answer = JSON.parse(printed)
  } catch {
    throw new HelperFailed(`${program} printed no JSON`)
  }
  const { Username, Secret } = answer ?? {}
  if (typeof Username !== 'string' || typeof Secret !== 'string')
    throw new HelperFailed(`${program} printed no Username and Secret`)
  return Username === tokenUser ? Credential.identityToken(Secret) : Credential.password(Username, Secret)
}
