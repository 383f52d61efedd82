// Registries that lie, stall, lead astray or want what is not theirs, and how a pull from each is refused.
import { randomBytes } from 'node:crypto'
import { sha256 } from '../documents/digest.js'
import type { ImageReason } from '../failure.js'
import { layerTar, types } from '../fixture.js'
import type { Patience, RegistryFlags } from './options.js'
import { Content, endless, type Handler } from './scripted.js'

export const tar = await layerTar('hello')
/** What no message may repeat. */
export const secret = 'hush-hush-4711'

interface Case {
  name: string
  reason: ImageReason | 'REGISTRY_UNREACHABLE'
  message: RegExp
  content?: Content
  /** What this registry does otherwise than a good one; true: done. */
  handler(content: Content, here: string): (...args: Parameters<Handler>) => unknown
  flags?: (here: string) => RegistryFlags
  patience?: Partial<Patience>
}

const redirectTo =
  (location: string, status = 302): Case['handler'] =>
  () =>
  (_, response) =>
    response.writeHead(status, { location }).end()

const isBlob = (url: string | undefined, content: Content): boolean => url?.endsWith(sha256(content.layers[0] as Buffer)) ?? false

/** Everything right but the layer. */
const layerBy =
  (answer: (response: Parameters<Handler>[1], blob: Buffer) => unknown): Case['handler'] =>
  (content) =>
  (request, response) =>
    isBlob(request.url, content) ? answer(response, content.layers[0] as Buffer) : content.serve(request, response)

export const cases: Case[] = [
  {
    name: 'redirect to cloud metadata',
    reason: 'IMAGE_REGISTRY_DENIED',
    message: /169\.254\.169\.254, for which plain HTTP is not allowed/,
    handler: redirectTo('http://169.254.169.254/latest/meta-data/'),
  },
  {
    name: 'redirect to cloud metadata with TLS',
    reason: 'IMAGE_REGISTRY_DENIED',
    message: /169\.254\.169\.254 has a private address/,
    handler: redirectTo('https://169.254.169.254/'),
  },
  {
    name: 'redirect to loopback',
    reason: 'IMAGE_REGISTRY_DENIED',
    message: /127\.0\.0\.2:1 has a private address/,
    handler: redirectTo('https://127.0.0.2:1/'),
  },
  {
    name: 'redirect to loopback in disguise',
    reason: 'IMAGE_REGISTRY_DENIED',
    message: /127\.0\.0\.1 has a private/,
    handler: redirectTo('https://0x7f.1/'),
  },
  {
    name: 'redirect to IPv6 loopback',
    reason: 'IMAGE_REGISTRY_DENIED',
    message: /\[::1\]:9 has a private/,
    handler: redirectTo('https://[::1]:9/'),
  },
  {
    name: 'redirect to a mapped address',
    reason: 'IMAGE_REGISTRY_DENIED',
    message: /private/,
    handler: redirectTo('https://[::ffff:127.0.0.1]/'),
  },
  {
    name: 'redirect to a name that is private',
    reason: 'IMAGE_REGISTRY_DENIED',
    message: /localhost:9 has a private/,
    handler: redirectTo('https://localhost:9/'),
  },
  {
    name: 'redirect to plain HTTP elsewhere',
    reason: 'IMAGE_REGISTRY_DENIED',
    message: /8\.8\.8\.8/,
    handler: redirectTo('http://8.8.8.8/'),
  },
  { name: 'redirect to a file', reason: 'IMAGE_REGISTRY_DENIED', message: /not http/, handler: redirectTo('file:///etc/passwd') },
  {
    name: 'redirect with a user',
    reason: 'IMAGE_REGISTRY_DENIED',
    message: /a user in it/,
    handler: redirectTo('https://user:pw@8.8.8.8/'),
  },
  {
    name: 'redirect nowhere',
    reason: 'IMAGE_REGISTRY_DENIED',
    message: /nowhere/,
    handler: () => (_, response) => response.writeHead(302).end(),
  },
  {
    name: 'redirects without end',
    reason: 'IMAGE_REGISTRY_PROTOCOL',
    message: /more than 5 times/,
    handler: () => (request, response) => response.writeHead(307, { location: `${request.url}x` }).end(),
  },
  {
    name: 'an endless manifest',
    reason: 'IMAGE_TOO_LARGE',
    message: /more than the 4194304 bytes/,
    handler: () => (_, response) => endless(response.writeHead(200, { 'content-type': types.manifest })),
  },
  {
    name: 'an endless layer',
    reason: 'IMAGE_DIGEST_MISMATCH',
    message: /longer than its descriptor/,
    handler: layerBy((response) => endless(response)),
  },
  {
    name: 'a layer of other bytes',
    reason: 'IMAGE_DIGEST_MISMATCH',
    message: /other bytes/,
    handler: layerBy((response, blob) => response.end(Buffer.alloc(blob.length))),
  },
  {
    name: 'a layer that is shorter',
    reason: 'IMAGE_DIGEST_MISMATCH',
    message: /ended after 100 bytes/,
    handler: layerBy((response, blob) => response.end(blob.subarray(0, 100))),
  },
  {
    name: 'a layer whose size is a lie',
    content: new Content([tar], { size: 5 }),
    reason: 'IMAGE_DIGEST_MISMATCH',
    message: /longer than its descriptor says \(5/,
    handler: (content) => content.serve,
  },
  {
    name: 'a layer that is said to be encoded',
    reason: 'IMAGE_DIGEST_MISMATCH',
    message: /other bytes|ended after|longer/,
    handler: layerBy((response, blob) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(randomBytes(blob.length))),
  },
  {
    name: 'a manifest with a content-encoding',
    reason: 'IMAGE_REGISTRY_PROTOCOL',
    message: /content-encoding/,
    handler: () => (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
  },
  {
    name: 'a layer drop by drop',
    reason: 'IMAGE_REGISTRY_PROTOCOL',
    message: /comes too slowly: \d+ of/,
    handler: layerBy((response, blob) => drip(response, blob, 50)),
    patience: { blobMs: 700 },
  },
  {
    name: 'a manifest drop by drop',
    reason: 'REGISTRY_UNREACHABLE',
    message: /too long to answer/,
    handler: () => (_, response) => drip(response, Buffer.alloc(1000), 50),
    patience: { answerMs: 300, tries: 2 },
  },
  {
    name: 'no answer at all',
    reason: 'REGISTRY_UNREACHABLE',
    message: /cannot be reached|too long/,
    handler: () => () => {},
    patience: { idleMs: 100, tries: 2 },
  },
  {
    name: 'a bomb of headers',
    reason: 'IMAGE_REGISTRY_PROTOCOL',
    message: /no proper HTTP/,
    handler: () => (_, response) => response.writeHead(200, { x: 'x'.repeat(100_000) }).end(),
  },
  {
    name: 'no HTTP',
    reason: 'IMAGE_REGISTRY_PROTOCOL',
    message: /no proper HTTP/,
    handler: () => (request) => request.socket.end('SSH-2.0-OpenSSH_9.2\r\n\r\n'),
  },
  {
    name: 'always too many requests',
    reason: 'IMAGE_RATE_LIMITED',
    message: /too many requests \(429\)/,
    handler: () => (_, response) => response.writeHead(429).end(secret),
  },
  {
    name: 'too many requests for an hour',
    reason: 'IMAGE_RATE_LIMITED',
    message: /asks to wait 3600 s/,
    handler: () => (_, response) => response.writeHead(429, { 'retry-after': '3600' }).end(),
  },
  {
    name: 'always failing',
    reason: 'REGISTRY_UNREACHABLE',
    message: /status 503/,
    handler: () => (_, response) => response.writeHead(503).end(),
  },
  {
    name: 'nothing there',
    reason: 'IMAGE_NOT_FOUND',
    message: /answered 404 MANIFEST_UNKNOWN/,
    handler: () => (_, response) => response.writeHead(404).end('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'),
  },
  {
    name: 'an error that repeats secrets',
    reason: 'IMAGE_UNAUTHORIZED',
    message: /answered 403: not/,
    handler: () => (_, response) => response.writeHead(403).end(JSON.stringify({ errors: [{ code: secret, message: secret }] })),
  },
  {
    name: 'a challenge that is none',
    reason: 'IMAGE_REGISTRY_PROTOCOL',
    message: /WWW-Authenticate/,
    handler: () => (_, response) => response.writeHead(401, { 'www-authenticate': 'Bearer realm="a' }).end(),
  },
  {
    name: 'a token service at a private address',
    reason: 'IMAGE_REGISTRY_DENIED',
    message: /private/,
    handler: challenge('https://127.0.0.9:1/token'),
  },
  {
    name: 'a token service without TLS',
    reason: 'IMAGE_REGISTRY_DENIED',
    message: /token service without TLS/,
    handler: challenge('http://8.8.8.8/token'),
  },
  {
    name: 'a token service with a user',
    reason: 'IMAGE_REGISTRY_DENIED',
    message: /a user in its URL/,
    handler: challenge('https://a:b@8.8.8.8/token'),
  },
  { name: 'an index that holds itself', reason: 'IMAGE_TOO_LARGE', message: /at most 4 deep/, handler: looping },
  {
    name: 'schema 1',
    reason: 'IMAGE_UNSUPPORTED',
    message: /schema 1/,
    handler: () => (_, response) =>
      response.setHeader('content-type', 'application/vnd.docker.distribution.manifest.v1+prettyjws').end('{"schemaVersion":1}'),
  },
  {
    name: 'a page for people',
    reason: 'IMAGE_UNSUPPORTED',
    message: /no image manifest \(media type text\/html\)/,
    handler: () => (_, response) => response.setHeader('content-type', 'text/html').end('<html>'),
  },
  {
    name: 'something else than JSON',
    reason: 'IMAGE_MALFORMED',
    message: /is not JSON/,
    handler: () => (_, response) => response.setHeader('content-type', types.manifest).end('hello'),
  },
  {
    name: 'another manifest than its type says',
    reason: 'IMAGE_MALFORMED',
    message: /its descriptor says/,
    handler: (content) => (request, response) =>
      request.url?.includes('/manifests/')
        ? response.setHeader('content-type', types.dockerManifest).end(content.documents.get('latest')?.bytes)
        : undefined,
  },
]

function drip(response: Parameters<Handler>[1], bytes: Buffer, everyMs: number): void {
  let at = 0
  const timer = setInterval(() => response.write(bytes.subarray(at, ++at)), everyMs)
  response.on('close', () => clearInterval(timer))
}

function challenge(realm: string): Case['handler'] {
  return () => (_, response) => response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}",service="x"` }).end()
}

/** As it cannot hold its own digest, each level is made when it is asked for, by a registry that would rather go on for ever. */
function looping(content: Content): Handler {
  const bytes = (deeper: string, size: number) =>
    Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: types.index, manifests: [{ mediaType: types.index, digest: deeper, size }] }),
    )
  let level = content.documents.get('latest')?.bytes as Buffer
  for (let depth = 0; depth < 20; depth++) {
    const next = bytes(sha256(level), level.length)
    content.documents.set(sha256(next), { bytes: next, mediaType: types.index })
    content.documents.set('latest', { bytes: next, mediaType: types.index })
    level = next
  }
  return content.serve
}
