// Things on the host that nobody in a sandbox can touch without our seeing it, and what an attack is told of them.

import { randomBytes } from 'node:crypto'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { hostname, networkInterfaces, tmpdir, uptime } from 'node:os'
import { join } from 'node:path'

const content = 'Whoever changes this came out of a sandbox.\n'

/** Names shorter than this stand in files that know nothing of the host. */
const tellingLength = 6

export class Canaries implements AsyncDisposable {
  readonly #servers: Server[] = []
  readonly #harm: string[] = []
  #file = ''
  #folder = ''
  #port = 0
  #udp: UdpSocket | undefined
  #name = ''
  readonly #abstract = `caisson-canary-${randomBytes(6).toString('hex')}`

  private constructor(
    private readonly services: string[],
    private readonly secrets: string[],
  ) {}

  /** `services`: ADDRESS:PORT of what serves the worker. `secrets`: words that no program may find. */
  static async place(services: string[], secrets: string[]): Promise<Canaries> {
    const canaries = new Canaries(services, secrets)
    await canaries.#place()
    return canaries
  }

  async #place(): Promise<void> {
    this.#folder = await mkdtemp(join(tmpdir(), 'canary-'))
    this.#file = join(this.#folder, 'file')
    await writeFile(this.#file, content, { mode: 0o666 })
    this.#name = await readFile('/proc/sys/kernel/hostname', 'utf8')
    // On every address: whichever way somebody comes, it is seen.
    const tcp = this.#listen('tcp')
    tcp.listen(0, '::')
    await once(tcp, 'listening')
    this.#port = (tcp.address() as AddressInfo).port
    const local = this.#listen('abstract unix')
    local.listen(`\0${this.#abstract}`)
    await once(local, 'listening')
    this.#udp = createSocket('udp6', () => this.#harm.push('a packet reached the host (udp)'))
    this.#udp.bind(this.#port, '::')
    await once(this.#udp, 'listening')
  }

  #listen(kind: string): Server {
    const server = createServer((socket) => {
      this.#harm.push(`a connection reached the host (${kind})`)
      socket.destroy()
    })
    this.#servers.push(server)
    return server
  }

  /** What the program is told; backwards, so that a search for it does not find itself. `word`: of this run alone. */
  async hints(word: string): Promise<Record<string, string>> {
    const addresses = Object.values(networkInterfaces()).flatMap((interfaces) =>
      (interfaces ?? []).map(({ address, family }) => (family === 'IPv6' ? `[${address.replace(/%.*/, '')}]` : address)),
    )
    const told = {
      FILE: this.#file,
      PORT: String(this.#port),
      ADDRESSES: addresses.join(','),
      SERVICES: this.services.join(','),
      SOCKETS: (await socketPaths()).join(','),
      ABSTRACT: this.#abstract,
      HOSTNAME: hostname(),
      UPTIME: String(uptime()),
      MARKERS: [...this.secrets, this.#folder, this.#abstract, hostname()]
        .filter(({ length }) => length >= tellingLength)
        .join(','),
      WORD: word,
    }
    return Object.fromEntries(Object.entries(told).map(([name, text]) => [`ATTACK_${name}`, [...text].reverse().join('')]))
  }

  /** What happened to the host since it was asked last. */
  async harm(): Promise<string[]> {
    const harm = this.#harm.splice(0)
    if ((await readFile(this.#file, 'utf8').catch(() => 'gone')) !== content) harm.push('a file of the host was changed')
    if ((await readFile('/proc/sys/kernel/hostname', 'utf8')) !== this.#name) harm.push("the host's name was changed")
    return harm
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) server.close()
    this.#udp?.close()
    await rm(this.#folder, { recursive: true })
  }
}

/** Of this host's services of ours, and of what runs containers elsewhere. */
async function socketPaths(): Promise<string[]> {
  const names = await readdir('/run/caisson').catch(() => [])
  const ours = names.filter((name) => name !== 'uids')
  return [
    ...ours.slice(0, 8).flatMap((name) => [`/run/caisson/${name}/launcher.sock`, `/run/caisson/${name}/redis/redis.sock`]),
    '/var/run/docker.sock',
    '/run/containerd/containerd.sock',
    '/run/dbus/system_bus_socket',
    '/run/systemd/private',
  ]
}
