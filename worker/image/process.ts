// What the agent is to execute: the image's defaults with the run's wishes over them, by Docker's rules. Pure.
import { posix } from 'node:path'
import type { caisson } from '../../proto/messages.js'
import type { ProcessDefaults } from './documents/config.js'
import { ImageError } from './failure.js'

export type Process = Required<Pick<caisson.agent.v1.Exec, 'args' | 'env' | 'cwd' | 'user'>>
type Wishes = Pick<caisson.v1.IRunSpec, 'args' | 'entrypoint' | 'env' | 'cwd' | 'user' | 'seccomp'>

const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** All of it travels to the agent in one frame of 1 MiB. */
const maxProcessBytes = (1 << 20) - (8 << 10)

export function processOf(defaults: ProcessDefaults, wishes: Wishes): Process {
  const process = {
    args: commandOf(defaults, wishes),
    env: environmentOf(defaults.env, wishes.env ?? {}),
    cwd: directoryOf(wishes.cwd || defaults.workingDir),
    user: wishes.user || defaults.user,
  }
  checkSize(process, wishes.seccomp ?? '')
  return process
}

function commandOf(defaults: ProcessDefaults, { args: wished, entrypoint }: Wishes): string[] {
  const given = wished ?? []
  const args = entrypoint
    ? [...(entrypoint.words ?? []), ...given]
    : [...defaults.entrypoint, ...(given.length > 0 ? given : defaults.cmd)]
  if (args.length === 0) missing('there is no command: spec.args is empty, and the image names none')
  if (args[0] === '') missing('the command, first word of entrypoint and spec.args, is empty')
  return args
}

function missing(message: string): never {
  throw new ImageError('COMMAND_MISSING', message, { field: 'spec.args' })
}

/** The image's order, each name once with its last value; then what the run adds, by name. */
function environmentOf(image: string[], wished: Record<string, string>): string[] {
  const env = new Map<string, string>([['PATH', defaultPath]])
  const imagesOwn = image.filter((entry) => entry.indexOf('=') > 0)
  for (const entry of imagesOwn) env.set(entry.slice(0, entry.indexOf('=')), entry)
  for (const name of Object.keys(wished).sort()) env.set(name, `${name}=${wished[name]}`)
  return [...env.values()]
}

/** Docker, too, takes a relative WorkingDir from the root. */
const directoryOf = (cwd: string): string => posix.resolve('/', cwd)

/** A profile takes less there than its text does here. */
function checkSize({ args, env, cwd, user }: Process, profile: string): void {
  // Each string has a tag and a length before it, of at most five bytes together.
  const bytes = [...args, ...env, cwd, user, profile].reduce((sum, text) => sum + Buffer.byteLength(text) + 5, 0)
  if (bytes <= maxProcessBytes) return
  const message = `command and environment, the image's own included, and profile take ${bytes} bytes: at most ${maxProcessBytes} are possible`
  throw new ImageError('IMAGE_TOO_LARGE', message, { field: 'spec.env' })
}
