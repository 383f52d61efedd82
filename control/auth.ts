// Every call but health checks carries the token.
import { createHash, timingSafeEqual } from 'node:crypto'
import { type Metadata, ServerInterceptingCall, type ServerInterceptor, ServerListenerBuilder } from '@grpc/grpc-js'
import { Refusal } from '../proto/reason.js'
import { statusOf } from './status.js'

const open = '/grpc.health.v1.Health/'

export function requireToken(token: string): ServerInterceptor {
  const expected = digest(`Bearer ${token}`)
  const accepts = (metadata: Metadata) => {
    const given = metadata.get('authorization')
    // Digests of one length: comparing them tells nothing about how much of the token was right.
    return given.length === 1 && timingSafeEqual(digest(String(given[0])), expected)
  }
  return (method, call) => {
    if (method.path.startsWith(open)) return new ServerInterceptingCall(call)
    const refuse = () =>
      call.sendStatus(statusOf(new Refusal('TOKEN_REFUSED', 'authorization must be "Bearer TOKEN" with the right token')))
    return new ServerInterceptingCall(call, {
      start(next) {
        const listener = new ServerListenerBuilder().withOnReceiveMetadata((metadata, proceed) => {
          if (accepts(metadata)) proceed(metadata)
          else refuse()
        })
        next(listener.build())
      },
    })
  }
}

const digest = (text: string) => createHash('sha256').update(text).digest()
