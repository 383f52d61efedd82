// A certificate authority of one test, and what it signed.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface Certificates {
  caFile: string
  ca: string
  keyFile: string
  key: string
  certFile: string
  cert: string
}

/** One certificate for all these names, `localhost` and 127.0.0.1 among them. */
export async function makeCertificates(folder: string, names: string[] = []): Promise<Certificates> {
  const at = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const made = ['-newkey', 'rsa:2048', '-nodes']
  openssl('req', '-x509', ...made, '-keyout', at('ca.key'), '-out', at('ca.crt'), '-days', '2', '-subj', '/CN=test authority')
  openssl('req', ...made, '-keyout', at('server.key'), '-out', at('server.csr'), '-subj', '/CN=localhost')
  const alternatives = ['DNS:localhost', 'IP:127.0.0.1', ...names.map((name) => `DNS:${name}`)].join(',')
  await writeFile(at('extensions'), `subjectAltName=${alternatives}\n`)
  const signer = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial']
  openssl(
    'x509',
    '-req',
    '-in',
    at('server.csr'),
    ...signer,
    '-out',
    at('server.crt'),
    '-days',
    '2',
    '-extfile',
    at('extensions'),
  )
  const read = (name: string) => readFileSync(at(name), 'utf8')
  return {
    ...{ caFile: at('ca.crt'), keyFile: at('server.key'), certFile: at('server.crt') },
    ...{ ca: read('ca.crt'), key: read('server.key'), cert: read('server.crt') },
  }
}
