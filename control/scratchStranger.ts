// For tests: calls by a .proto file alone, as other languages make them.
import { type Client, credentials, type GrpcObject, loadPackageDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { protoPath as healthProto } from 'grpc-health-check'

export const checkHealth = (port: number, service = '', channel = credentials.createInsecure()) =>
  unaryOf(healthProto, ['grpc', 'health', 'v1', 'Health'], 'Check', { service }, `127.0.0.1:${port}`, channel)

/** Calls by the .proto file alone, as other languages do. */
function clientOf(proto: string, path: string[], address: string, channel = credentials.createInsecure()) {
  let found: GrpcObject | unknown = loadPackageDefinition(loadSync(proto, { enums: String, bytes: Buffer }))
  for (const name of path) found = (found as GrpcObject)[name]
  const Service = found as typeof Client & { service: Record<string, Parameters<Client['makeUnaryRequest']>> }
  return { client: new Service(address, channel, { 'grpc.ssl_target_name_override': 'localhost' }), methods: Service.service }
}

interface Method {
  path: string
  requestSerialize(message: unknown): Buffer
  responseDeserialize(bytes: Buffer): unknown
}

export function unaryOf(
  proto: string,
  path: string[],
  name: string,
  message: unknown,
  address: string,
  channel?: ReturnType<typeof credentials.createInsecure>,
) {
  const { client, methods } = clientOf(proto, path, address, channel)
  const method = methods[name] as unknown as Method
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(method.path, method.requestSerialize, method.responseDeserialize, message, (error, answer) => {
      client.close()
      if (error) reject(error)
      else resolve({ ...(answer as object) })
    })
  })
}

export async function exchange(
  proto: string,
  path: string[],
  name: string,
  address: string,
  messages: unknown[],
): Promise<unknown[]> {
  const { client, methods } = clientOf(proto, path, address)
  const method = methods[name] as unknown as Method
  const call = client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize)
  for (const message of messages) call.write(message)
  call.end()
  const answers: unknown[] = []
  for await (const answer of call) answers.push(answer)
  client.close()
  return answers
}
