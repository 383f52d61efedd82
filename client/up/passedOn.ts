// The flags of control and worker that `up` takes in their own spelling and hands on; both judge them before anything is started.

import type { Command } from 'commander'
import { ConfigError, parseConfig as parseControlConfig } from '../../control/config.js'
import { limitRules } from '../../proto/limits.js'
import { parseConfig as parseWorkerConfig } from '../../worker/config.js'
import type { CredentialFiles } from './credentials.js'

const workerFlags: Record<string, string> = {
  'cpu-millis': 'thousandths of a core that runs may take together',
  'memory-bytes': 'memory that runs may take together',
  'machine-memory-bytes': 'memory beside that, for templates of microVMs and those that wait ready',
  'max-runs': 'runs at the same time',
  pool: 'sandboxes that wait ready, at most',
  'store-bytes': 'what prepared layers may take of the disk; the longest unused give way',
  'layer-bytes': 'what one layer of an image may have uncompressed',
  'layer-entries': 'files, folders and links that one layer may have',
  'drain-ms': 'how long running programs are left on SIGTERM',
}

/** Without a value. */
const workerSwitches: Record<string, string> = {
  'allow-emulation': 'where KVM boots no guest, emulate one for runs that require a microVM: no security boundary',
  debug: 'keep what the guests of microVMs say on their consoles, in consoles/ of the state folder',
}

/** For the worker, and each may be given several times. */
const registryFlags: Record<string, string> = {
  'registry-mirror': 'HOST=URL: is asked before HOST',
  'registry-plain-http': 'HOST[:PORT]: speaks no TLS',
  'registry-allow': 'HOST[:PORT]: may have a private address',
  'registry-realm': 'HOST=HOST: a token service that credentials of the first host may be shown to',
}

const controlFlags: Record<string, string> = {
  'max-waiting-runs': 'more are refused',
  'max-retention-ms': 'highest spec.retention_ms; also lowers the default',
  ...Object.fromEntries(
    limitRules.map(({ field }) => [
      `max-${field.replace('spec.limits.', '').replaceAll('_', '-')}`,
      `highest ${field}; also lowers its default`,
    ]),
  ),
}

export interface PassedOn {
  workerArgs: string[]
  controlArgs: string[]
}

export function addPassedOn(command: Command): void {
  for (const [name, meaning] of Object.entries(registryFlags)) command.option(`--${name} <value...>`, meaning)
  for (const [name, meaning] of Object.entries({ ...workerFlags, ...controlFlags })) command.option(`--${name} <n>`, meaning)
  for (const [name, meaning] of Object.entries(workerSwitches)) command.option(`--${name}`, meaning)
}

export function passedOn(flags: Readonly<Record<string, unknown>>): PassedOn {
  const given = (name: string) => flags[name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())]
  const take = (names: Record<string, string>) =>
    Object.keys(names).flatMap((name) => {
      const value = given(name)
      const values = Array.isArray(value) ? value : [value]
      return values.flatMap((value) => (typeof value === 'string' ? [`--${name}=${value}`] : []))
    })
  const switches = Object.keys(workerSwitches).filter((name) => given(name) === true)
  const workerArgs = [...take(workerFlags), ...take(registryFlags), ...switches.map((name) => `--${name}`)]
  return { workerArgs, controlArgs: take(controlFlags) }
}

/** Throws (or, for what commander finds, tells and exits) as the process itself would. */
export function judge({
  listen,
  name,
  redis = '/',
  workerArgs,
  controlArgs,
  ...files
}: PassedOn & CredentialFiles & { listen: string; name: string; redis?: string }): void {
  const { tlsCert, tlsKey, tokenFile, sealKeyFile, redisCa, registryConfig, registryCa } = files
  const given = (all: Record<string, string | undefined>) =>
    Object.entries(all).flatMap(([flag, file]) => (file === undefined ? [] : [flag, file]))
  const both = { '--seal-key-file': sealKeyFile, '--redis-ca': redisCa }
  const named = given({ '--tls-cert': tlsCert, '--tls-key': tlsKey, '--token-file': tokenFile, ...both })
  const workersOwn = given({ '--registry-config': registryConfig, '--registry-ca': registryCa, ...both })
  const { port } = parseControlConfig(['--redis', redis, '--listen', listen, ...named, ...controlArgs])
  if (port === 0)
    throw new ConfigError('--listen: port 0 is none to be found at, and a control that died would come back at another')
  parseWorkerConfig(['--redis', redis, '--name', name, ...workersOwn, ...workerArgs])
}
