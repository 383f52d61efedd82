// Every registry, as one worker sees them: connections, tokens and credentials shared by all pulls.
import { cpus } from 'node:os'
import type { RegistryReference } from '../../../proto/registry.js'
import { Slots } from '../layers/slots.js'
import type { Credential } from './credential.js'
import { Unreachable } from './failures.js'
import { Keyring } from './keyring.js'
import { type Endpoint, endpointsOf, type RegistryOptions } from './options.js'
import { Repository } from './repository.js'
import { RegistrySource } from './source.js'
import { Tokens } from './tokens.js'
import { Transport } from './transport.js'

export class Registries {
  readonly #transport: Transport
  readonly #tokens: Tokens
  readonly #keyring: Keyring
  /** Of layers on their way. Apart from those of images on this host, which a slow registry is not to hold up. */
  readonly slots = new Slots(Math.max(4, 2 * cpus().length))

  constructor(readonly options: RegistryOptions) {
    this.#transport = new Transport(options)
    this.#tokens = new Tokens(this.#transport)
    this.#keyring = new Keyring(options.configFile)
  }

  close(): Promise<void> {
    return this.#transport.close()
  }

  /** With a credential of the run, which is for the registry's own host, no mirror is asked. */
  async source(reference: RegistryReference, credential?: Credential): Promise<RegistrySource> {
    const all = endpointsOf(reference.host, this.options)
    const endpoints = credential ? all.filter(({ isMirror }) => !isMirror) : all
    const repositories = await Promise.all(
      endpoints.map(async (endpoint) => this.#repository(endpoint, reference, credential ?? (await this.#operators(endpoint)))),
    )
    return new RegistrySource(reference, repositories, this.options.patience)
  }

  #repository(endpoint: Endpoint, { repository }: RegistryReference, credential: Credential | undefined): Repository {
    const access = { endpoint, repository: `${endpoint.prefix}${repository}`, credential }
    return new Repository(this.#transport, this.#tokens, access, endpoint.isMirror ? 1 : undefined)
  }

  /** What is wrong with the operator's file is not the client's fault, and not for the client to read. */
  async #operators({ registry }: Endpoint): Promise<Credential | undefined> {
    try {
      return await this.#keyring.of(registry)
    } catch (cause) {
      throw new Unreachable(`the worker's credentials for ${registry} cannot be read`, cause)
    }
  }
}
