// Where credentials for a registry may go besides the registry: to a token service on its own host, on one above it or below it in the tree of
// names (whoever owns the upper one decides about the lower one anyway), or on one that the operator named. Never to a sibling: names that
// share an end need not share an owner.
import { isIP } from 'node:net'
import type { Endpoint, RegistryOptions } from './options.js'

export function mayHaveCredentials(realm: URL, { registry }: Endpoint, { realms }: Pick<RegistryOptions, 'realms'>): boolean {
  const own = new URL(`https://${registry}`)
  const named = realms.get(own.host)
  if (named?.has(realm.host) || named?.has(realm.hostname)) return true
  if (own.hostname === realm.hostname) return true
  if (isAddress(own.hostname) || isAddress(realm.hostname)) return false
  return isBelow(realm.hostname, own.hostname) || (isBelow(own.hostname, realm.hostname) && realm.hostname.includes('.'))
}

const isBelow = (name: string, above: string): boolean => name.endsWith(`.${above}`)
const isAddress = (hostname: string): boolean => hostname.startsWith('[') || isIP(hostname) !== 0
