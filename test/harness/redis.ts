// A Redis that a test starts and stops itself.

import { type ChildProcess, spawn } from 'node:child_process'
import type { Certificates } from './certificates.js'

export class OwnRedis {
  #server: ChildProcess | undefined

  constructor(
    private readonly folder: string,
    private readonly port: number,
    /** What is promised of a write that was acknowledged. */
    private readonly appendfsync: 'always' | 'everysec' = 'always',
    /** Given: it speaks nothing but TLS, and asks for the password. */
    private readonly guard?: { certificates: Certificates; password: string },
  ) {}

  get url(): string {
    return this.guard ? `rediss://:${this.guard.password}@localhost:${this.port}` : `redis://127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const options = ['--appendonly', 'yes', '--appendfsync', this.appendfsync, '--maxmemory-policy', 'noeviction', '--save', '']
    this.#server = spawn('redis-server', ['--bind', '127.0.0.1', ...this.#door(), '--dir', this.folder, ...options], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const output = this.#server.stdout
    if (!output) throw new Error('no output of redis-server')
    for await (const data of output.iterator({ destroyOnReturn: false })) if (String(data).includes('Ready to accept')) break
    output.resume()
  }

  #door(): string[] {
    if (!this.guard) return ['--port', String(this.port)]
    const { certFile, keyFile } = this.guard.certificates
    const certificate = ['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-auth-clients', 'no']
    return ['--port', '0', '--tls-port', String(this.port), ...certificate, '--requirepass', this.guard.password]
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const server = this.#server
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    const exited = new Promise((resolve) => server.once('exit', resolve))
    server.kill(signal)
    await exited
  }

  signal(signal: NodeJS.Signals): void {
    this.#server?.kill(signal)
  }
}
