// The services as control serves them, straight from the generated codecs. Events are written as bytes: a watch does not decode what it hands on.
import type { MethodDefinition } from '@grpc/grpc-js'
import { caisson } from '../proto/messages.js'
import { asBuffer } from '../redis/events.js'
import { framed } from './framing.js'
import type { Messages } from './outgoing.js'

interface Codec<Out, In> {
  encode(message: In): { finish(): Uint8Array }
  decode(bytes: Uint8Array): Out
}

const v1 = caisson.v1

function method<Req, IReq, Res, IRes>(
  path: string,
  request: Codec<Req, IReq>,
  response: Codec<Res, IRes>,
  kind: { requestStream?: true } = {},
): MethodDefinition<Req, IRes> {
  return {
    path: `/caisson.v1.${path}`,
    requestStream: kind.requestStream ?? false,
    responseStream: false,
    requestSerialize: unused,
    requestDeserialize: (bytes) => request.decode(bytes),
    responseSerialize: (message) => asBuffer(response.encode(message).finish()),
    responseDeserialize: unused,
  }
}

function eventStream<Req, IReq>(path: string, request: Codec<Req, IReq>): MethodDefinition<Req, Messages> {
  return {
    path: `/caisson.v1.${path}`,
    requestStream: false,
    responseStream: true,
    requestSerialize: unused,
    requestDeserialize: (bytes) => request.decode(bytes),
    responseSerialize: framed,
    responseDeserialize: unused,
  }
}

/** Of a definition, a server uses its own half. */
function unused(): never {
  throw new Error('this is the server')
}

export const runService = {
  Submit: method('RunService/Submit', v1.SubmitRequest, v1.SubmitResponse),
  Run: eventStream('RunService/Run', v1.SubmitRequest),
  Watch: eventStream('RunService/Watch', v1.WatchRequest),
  Attach: method('RunService/Attach', v1.AttachRequest, v1.AttachResponse, { requestStream: true }),
  Cancel: method('RunService/Cancel', v1.CancelRequest, v1.CancelResponse),
  Get: method('RunService/Get', v1.GetRequest, v1.Run),
  GetReceipt: method('RunService/GetReceipt', v1.GetReceiptRequest, v1.Receipt),
  List: method('RunService/List', v1.ListRequest, v1.ListResponse),
  Delete: method('RunService/Delete', v1.DeleteRequest, v1.DeleteResponse),
}

export const hostService = {
  ListWorkers: method('HostService/ListWorkers', v1.ListWorkersRequest, v1.ListWorkersResponse),
}

export const imageService = {
  Pull: eventStream('ImageService/Pull', v1.PullImageRequest),
  List: method('ImageService/List', v1.ListImagesRequest, v1.ListImagesResponse),
  Get: method('ImageService/Get', v1.GetImageRequest, v1.ImageDetails),
  Files: method('ImageService/Files', v1.ImageFilesRequest, v1.ImageFilesResponse),
  Remove: method('ImageService/Remove', v1.RemoveImageRequest, v1.RemoveImageResponse),
  Prune: method('ImageService/Prune', v1.PruneImagesRequest, v1.PruneImagesResponse),
  Verify: eventStream('ImageService/Verify', v1.VerifyImagesRequest),
}
