// What stands between a worker and a registry: networks that cut, registries that are busy, and a proxy that reads everything.

import { once } from 'node:events'
import {
  createServer as createHttp,
  type IncomingMessage,
  request as requestHttp,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttps, request as requestHttps } from 'node:https'
import { type AddressInfo, connect, createServer as createTcp, type Server as TcpServer } from 'node:net'
import type { Certificates } from './certificates.js'

export interface Between {
  host: string
  stop(): Promise<void>
}

async function between(server: TcpServer | Server, close: () => void): Promise<Between> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const stop = async () => {
    close()
    server.close()
    await once(server, 'close')
  }
  return { host: `localhost:${port}`, stop }
}

/** Breaks each connection after so many bytes from the server, until it has broken `cuts` of them. */
export async function cuttingProxy(port: number, bytes: () => number, cuts: { left: number }): Promise<Between> {
  const open = new Set<{ destroy(): void }>()
  const server = createTcp((socket) => {
    const upstream = connect(port, '127.0.0.1')
    let left = bytes()
    for (const end of [socket, upstream]) {
      open.add(end)
      end.on('error', () => {})
      end.on('close', () => {
        socket.destroy()
        upstream.destroy()
      })
    }
    socket.pipe(upstream)
    upstream.on('data', (data: Buffer) => {
      socket.write(data)
      left -= data.length
      if (left > 0 || cuts.left === 0) return
      cuts.left--
      socket.resetAndDestroy()
    })
  })
  return between(server, () => {
    for (const end of open) end.destroy()
  })
}

/** Answers the first requests with 429. */
export async function busyProxy(port: number, refusals: { left: number; given: number }): Promise<Between> {
  const server = createHttp((request, response) => {
    if (refusals.left === 0) return forward(request, response, requestHttp, { port })
    refusals.left--
    refusals.given++
    return response.writeHead(429, { 'retry-after': '1' }).end()
  })
  return between(server, () => server.closeAllConnections())
}

/** Notes what is asked. While it is `stalling`, blobs begin and do not go on; `left`: how many of those their clients gave up. */
export async function watchedProxy(
  port: number,
  watched: { asked: string[]; stalling: boolean; left: number },
): Promise<Between> {
  const server = createHttp((request, response) => {
    watched.asked.push(`${request.method} ${request.url}`)
    if (!watched.stalling || !request.url?.includes('/blobs/')) return forward(request, response, requestHttp, { port })
    response.on('close', () => watched.left++)
    return response.writeHead(200).write('x')
  })
  return between(server, () => server.closeAllConnections())
}

export interface Heard {
  host: string
  method: string
  url: string
  /** Every header, as one text. */
  headers: string
}

/** An HTTPS proxy that opens what goes through it. `lead` may answer by itself. */
export async function listeningProxy(
  tls: Certificates,
  heard: Heard[],
  lead: (request: IncomingMessage, response: ServerResponse) => boolean,
): Promise<Between> {
  const inner = createHttps({ key: tls.key, cert: tls.cert }, (request, response) => {
    const { host = '', ...others } = request.headers
    heard.push({ host, method: request.method ?? '', url: request.url ?? '', headers: JSON.stringify(others) })
    if (lead(request, response)) return
    forward(request, response, requestHttps, { port: Number(host.split(':')[1] ?? 443), ca: tls.ca, servername: 'localhost' })
  })
  const server = createHttp((_, response) => response.writeHead(405).end())
  server.on('connect', (_, socket) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    inner.emit('connection', socket)
  })
  return between(server, () => {
    inner.closeAllConnections()
    server.closeAllConnections()
  })
}

function forward(
  { method, url, headers }: IncomingMessage,
  response: ServerResponse,
  request: typeof requestHttp | typeof requestHttps,
  to: { port: number; ca?: string; servername?: string },
): void {
  const upstream = request({ host: '127.0.0.1', method, path: url, headers, ...to }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(response)
  })
  upstream.on('error', () => response.destroy())
  upstream.end()
}
