// Where the service is, and how to talk to it: plain text only on this machine, unless TLS is there nobody else reads the token.

import { type ChannelCredentials, credentials } from '@grpc/grpc-js'
import { CaissonError } from './error.js'

export interface ConnectOptions {
  /** "HOST:PORT" or "unix:PATH". Default "127.0.0.1:7788". */
  address?: string
  /** Sent as "authorization: Bearer TOKEN". */
  token?: string
  /** PEM of the authority that signed the service's certificate. Default: the system's authorities. */
  ca?: string | Uint8Array
  /** Default: true when `ca` is given or the address is not on this machine. */
  tls?: boolean
  /** How long a call or a watch outlives the loss of a connection that once worked, in ms from the last sign of life. Default 60,000. */
  patienceMs?: number
  /** Of every call that is not a stream, in ms, retries included. Default 60,000. */
  timeoutMs?: number
}

export const defaultAddress = '127.0.0.1:7788'

export function channelCredentials({ address = defaultAddress, ca, tls, token }: ConnectOptions): ChannelCredentials {
  const local = isLocal(address)
  if (tls ?? (ca !== undefined || !local)) return credentials.createSsl(ca === undefined ? null : Buffer.from(ca))
  if (token !== undefined && !local) {
    throw new CaissonError('INVALID_ARGUMENT', `a token is not sent in plain text to ${address}: use TLS`, {
      reason: 'TLS_REQUIRED',
    })
  }
  return credentials.createInsecure()
}

/** Whether bytes to this address stay on this machine. */
export function isLocal(address: string): boolean {
  if (address.startsWith('unix:')) return true
  const host = address.replace(/:\d*$/, '').replace(/^\[|\]$/g, '')
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}
