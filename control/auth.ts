// Every call but health checks carries a token.
import { ServerInterceptingCall, type ServerInterceptor, ServerListenerBuilder } from '@grpc/grpc-js'
import { Refusal } from '../proto/reason.js'
import { statusOf } from './status.js'
import type { Tenants } from './tenants.js'

const open = '/grpc.health.v1.Health/'

export function requireToken(tenants: Tenants): ServerInterceptor {
  return (method, call) => {
    if (method.path.startsWith(open)) return new ServerInterceptingCall(call)
    const refuse = () =>
      call.sendStatus(statusOf(new Refusal('TOKEN_REFUSED', 'authorization must be "Bearer TOKEN" with the right token')))
    return new ServerInterceptingCall(call, {
      start(next) {
        const listener = new ServerListenerBuilder().withOnReceiveMetadata((metadata, proceed) => {
          if (tenants.of(metadata)) proceed(metadata)
          else refuse()
        })
        next(listener.build())
      },
    })
  }
}
