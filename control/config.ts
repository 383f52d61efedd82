// The command line, validated once.
import { readFileSync } from 'node:fs'
import { Command, InvalidArgumentError, Option } from 'commander'
import { type LimitName, limitRules, type Maxima } from '../proto/limits.js'
import { Seal } from '../proto/seal.js'
import { RedisCaError, readRedisCa } from '../redis/authority.js'
import { Tenants, TokenFileError } from './tenants.js'

export interface Config {
  /** redis://…, or the path of a unix socket. */
  redis: string
  /** PEM; undefined: the public authorities. */
  redisCa: string | undefined
  host: string
  port: number
  tls: { cert: Buffer; key: Buffer } | undefined
  /** Undefined: no call needs a token, and nothing is granted. */
  tenants: Tenants | undefined
  /** Operator's maxima of limits. */
  maxima: Maxima
  maxWaitingRuns: number
  maxRetentionMs: number
  graceMs: number
  /** For registry credentials of runs; undefined: they are refused. */
  seal: Seal | undefined
}

/** What the command line says that it may not: main prints it and exits. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

export function parseConfig(argv: string[]): Config {
  const command = program().parse(argv, { from: 'user' })
  const options = command.opts<Options>()
  const { host, port } = options.listen
  const tls = readTls(options.tlsCert, options.tlsKey)
  const tenants = options.tokenFile === undefined ? undefined : readTenants(options.tokenFile)
  if (!isLoopback(host) && (tls === undefined || tenants === undefined)) {
    throw new ConfigError(`--listen ${host}:${port} is not loopback: it needs --tls-cert, --tls-key and --token-file`)
  }
  return {
    redis: options.redis,
    redisCa: readAuthority(options),
    host,
    port,
    tls,
    tenants,
    maxima: readMaxima(options),
    maxWaitingRuns: options.maxWaitingRuns,
    maxRetentionMs: options.maxRetentionMs,
    graceMs: options.graceMs,
    seal: options.sealKeyFile === undefined ? undefined : readSeal(options.sealKeyFile),
  }
}

interface Options extends Record<string, unknown> {
  redis: string
  redisCa?: string
  listen: { host: string; port: number }
  tlsCert?: string
  tlsKey?: string
  tokenFile?: string
  sealKeyFile?: string
  maxWaitingRuns: number
  maxRetentionMs: number
  graceMs: number
}

function program(): Command {
  const command = new Command('caisson-control')
    .description('The gRPC front of Caisson: validates runs, records and queues them, and hands out their events.')
    .addOption(
      new Option('--redis <address>', 'redis://…, rediss://… or the path of a unix socket')
        .env('CAISSON_REDIS')
        .makeOptionMandatory(),
    )
    .option('--redis-ca <file>', 'certificates (PEM) of those who alone may have signed that of rediss://')
    .addOption(
      new Option('--listen <address>', 'HOST:PORT; beyond loopback only with TLS and token')
        .default({ host: '127.0.0.1', port: 7788 }, '127.0.0.1:7788')
        .argParser(parseListen),
    )
    .option('--tls-cert <file>', 'certificate chain, PEM')
    .option('--tls-key <file>', 'its private key, PEM')
    .option(
      '--token-file <file>',
      'every call must carry one of its tokens; a line is TOKEN [TENANT [CAPABILITY ...]], and grants these',
    )
    .option('--seal-key-file <file>', 'seals registry credentials of runs; 64 hexadecimal digits, the same for all workers')
    .option('--max-waiting-runs <count>', 'more are refused', integer(1, 1e9), 250_000)
    .option(
      '--max-retention-ms <ms>',
      'highest spec.retention_ms; also lowers the default',
      integer(1_000, 2_592_000_000),
      2_592_000_000,
    )
    .option('--grace-ms <ms>', 'on SIGTERM, how long watches may go on', integer(0, 600_000), 2_000)
  for (const { field, least, most } of limitRules) {
    const name = field.replace('spec.limits.', '').replaceAll('_', '-')
    command.option(`--max-${name} <n>`, `highest ${field}; also lowers its default`, integer(least, most))
  }
  return command.allowExcessArguments(false)
}

function readMaxima(options: Options): Maxima {
  const maxima: Maxima = {}
  for (const { name } of limitRules) {
    const value = options[optionOf(name)]
    if (typeof value === 'number') maxima[name] = value
  }
  return maxima
}

const optionOf = (name: LimitName) => `max${name.charAt(0).toUpperCase()}${name.slice(1)}`

function integer(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`must be a number from ${least} to ${most}.`)
    }
    return value
  }
}

export function parseListen(text: string): { host: string; port: number } {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+):(\d{1,5})$/.exec(text)
  const port = Number(match?.[2])
  if (!match?.[1] || port > 65_535) throw new InvalidArgumentError('must be HOST:PORT.')
  return { host: match[1], port }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}

function readAuthority({ redis, redisCa }: Options): string | undefined {
  try {
    return readRedisCa(redisCa, redis)
  } catch (error) {
    throw error instanceof RedisCaError ? new ConfigError(error.message) : error
  }
}

function readTls(certFile: string | undefined, keyFile: string | undefined): Config['tls'] {
  if (certFile === undefined && keyFile === undefined) return undefined
  if (certFile === undefined || keyFile === undefined) throw new ConfigError('--tls-cert and --tls-key go together')
  return { cert: readFile('--tls-cert', certFile), key: readFile('--tls-key', keyFile) }
}

function readTenants(file: string): Tenants {
  try {
    return Tenants.parse(readFile('--token-file', file).toString('utf8'))
  } catch (error) {
    if (error instanceof TokenFileError) throw new ConfigError(`--token-file ${file}: ${error.message}`)
    throw error
  }
}

function readSeal(file: string): Seal {
  const seal = Seal.parse(readFile('--seal-key-file', file).toString('utf8'))
  if (!seal) throw new ConfigError(`--seal-key-file ${file} must hold 64 hexadecimal digits`)
  return seal
}

function readFile(option: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new ConfigError(`${option} ${file} cannot be read`, { cause: error })
  }
}
