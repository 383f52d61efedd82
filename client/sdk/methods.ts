// The service as the client calls it. Straight from the generated codecs: the compiler checks every message, and no .proto is parsed at start.

import { caisson } from '../../proto/messages.js'

export interface Method<Request, Response> {
  path: string
  serialize(request: Request): Buffer
  deserialize(bytes: Buffer): Response
}

interface Encoder<Request> {
  encode(request: Request): { finish(): Uint8Array }
}

interface Decoder<Response> {
  decode(bytes: Uint8Array): Response
}

function method<Request, Response>(
  path: string,
  request: Encoder<Request>,
  response: Decoder<Response>,
): Method<Request, Response> {
  return {
    path: `/caisson.v1.${path}`,
    serialize: (message) => asBuffer(request.encode(message).finish()),
    deserialize: (bytes) => response.decode(bytes),
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

const v1 = caisson.v1

export const methods = {
  submit: method('RunService/Submit', v1.SubmitRequest, v1.SubmitResponse),
  run: method('RunService/Run', v1.SubmitRequest, v1.RunEvent),
  watch: method('RunService/Watch', v1.WatchRequest, v1.RunEvent),
  attach: method('RunService/Attach', v1.AttachRequest, v1.AttachResponse),
  cancel: method('RunService/Cancel', v1.CancelRequest, v1.CancelResponse),
  get: method('RunService/Get', v1.GetRequest, v1.Run),
  getReceipt: method('RunService/GetReceipt', v1.GetReceiptRequest, v1.Receipt),
  list: method('RunService/List', v1.ListRequest, v1.ListResponse),
  delete: method('RunService/Delete', v1.DeleteRequest, v1.DeleteResponse),
  listWorkers: method('HostService/ListWorkers', v1.ListWorkersRequest, v1.ListWorkersResponse),
  pullImage: method('ImageService/Pull', v1.PullImageRequest, v1.PullImageEvent),
  listImages: method('ImageService/List', v1.ListImagesRequest, v1.ListImagesResponse),
  getImage: method('ImageService/Get', v1.GetImageRequest, v1.ImageDetails),
  imageFiles: method('ImageService/Files', v1.ImageFilesRequest, v1.ImageFilesResponse),
  removeImage: method('ImageService/Remove', v1.RemoveImageRequest, v1.RemoveImageResponse),
  pruneImages: method('ImageService/Prune', v1.PruneImagesRequest, v1.PruneImagesResponse),
  verifyImages: method('ImageService/Verify', v1.VerifyImagesRequest, v1.VerifyImagesEvent),
} as const
