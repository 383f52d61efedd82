// Which addresses belong to the public network. A registry that the operator did not name has no business on any other.
import { BlockList, isIPv4 } from 'node:net'

/** IANA's registries of special purposes: this host, private, shared, loopback, link-local (with cloud metadata), documentation, benchmarks, multicast, reserved. */
const special4: [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
]

/** Within 2000::/3, all that is global: protocol assignments (with Teredo), documentation, 6to4. */
const special6: [string, number][] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

const special = new BlockList()
const global6 = new BlockList()
global6.addSubnet('2000::', 3, 'ipv6')
// Where a network reaches IPv4 through NAT64, names have such addresses; those of special IPv4 addresses are special too.
global6.addSubnet('64:ff9b::', 96, 'ipv6')
for (const [net, prefix] of special6) special.addSubnet(net, prefix, 'ipv6')
for (const [net, prefix] of special4) {
  special.addSubnet(net, prefix, 'ipv4')
  special.addSubnet(`64:ff9b::${net}`, 96 + prefix, 'ipv6')
}

export function isPublic(address: string): boolean {
  if (isIPv4(address)) return !special.check(address, 'ipv4')
  return global6.check(address, 'ipv6') && !special.check(address, 'ipv6')
}
