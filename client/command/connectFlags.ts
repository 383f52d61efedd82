// The flags that every verb which talks to the service takes.

import { readFileSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { defaultAddress } from '../sdk/address.js'
import { Caisson } from '../sdk/caisson.js'

export interface ConnectFlags {
  address?: string
  tokenFile?: string
  ca?: string
  tls?: boolean
  json?: boolean
}

export function addConnectFlags(command: Command): Command {
  return command
    .addOption(new Option('--address <host:port>', `where the service is (default ${defaultAddress})`).env('CAISSON_ADDRESS'))
    .addOption(new Option('--token-file <file>', 'holds the token (or set CAISSON_TOKEN to it)').env('CAISSON_TOKEN_FILE'))
    .addOption(new Option('--ca <file>', "PEM of the authority that signed the service's certificate").env('CAISSON_CA'))
    .option('--tls', 'speak TLS also to this machine')
    .option('--json', 'one JSON object a line')
}

/** Before the verb too. These know no environment: it would overrule what follows the verb. */
export function addGlobalFlags(program: Command): void {
  program
    .option('--address <host:port>', 'as below, for every verb')
    .option('--token-file <file>')
    .option('--ca <file>')
    .option('--tls')
    .option('--json')
}

export function connect({ address, tokenFile, ca, tls }: ConnectFlags): Caisson {
  const token = tokenFile === undefined ? process.env['CAISSON_TOKEN'] : readFileSync(tokenFile, 'utf8').trim()
  return Caisson.connect({
    ...(address !== undefined && { address }),
    ...(token && { token }),
    ...(ca !== undefined && { ca: readFileSync(ca) }),
    ...(tls && { tls }),
  })
}
