// Wire messages of ImageService → imageModel.ts.

import type { caisson } from '../../proto/messages.js'
import { dates } from './decode.js'
import type * as model from './imageModel.js'

export const readImage = (image: caisson.v1.IImage): model.Image => ({
  references: image.references ?? [],
  manifestDigest: image.manifestDigest ?? '',
  configDigest: image.configDigest ?? '',
  layers: image.layers ?? 0,
  storedBytes: image.storedBytes ?? 0,
  ...dates({ usedAt: image.usedAt }),
  uses: image.uses ?? 0,
  workerId: image.workerId ?? '',
})

export const readList = (list: caisson.v1.IListImagesResponse): model.ImageList => ({
  images: (list.images ?? []).map(readImage),
  truncated: list.truncated ?? false,
  failures: readFailures(list.failures),
})

export function readDetails(details: caisson.v1.IImageDetails): model.ImageDetails {
  const { process } = details
  return {
    image: readImage(details.image ?? {}),
    architecture: details.architecture ?? '',
    os: details.os ?? '',
    author: details.author ?? '',
    created: details.created ?? '',
    process: {
      entrypoint: process?.entrypoint ?? [],
      cmd: process?.cmd ?? [],
      env: process?.env ?? [],
      workingDir: process?.workingDir ?? '',
      user: process?.user ?? '',
    },
    labels: { ...details.labels },
    layers: (details.layers ?? []).map(readLayer),
    history: (details.history ?? []).map(readStep),
    truncated: details.truncated ?? false,
  }
}

const readLayer = (layer: caisson.v1.IImageLayer): model.ImageLayer => ({
  diffId: layer.diffId ?? '',
  blobDigest: layer.blobDigest ?? '',
  blobBytes: layer.blobBytes ?? 0,
  storedBytes: layer.storedBytes ?? 0,
  sharedWith: layer.sharedWith ?? [],
  sharedCount: layer.sharedCount ?? 0,
})

const readStep = ({ created, createdBy, comment, empty, layer }: caisson.v1.IImageHistory): model.ImageStep => ({
  created: created ?? '',
  createdBy: createdBy ?? '',
  comment: comment ?? '',
  empty: empty ?? false,
  ...(layer != null && { layer }),
})

export const readFiles = (files: caisson.v1.IImageFilesResponse): model.ImageFiles => ({
  workerId: files.workerId ?? '',
  layers: (files.layers ?? []).map((layer) => ({
    diffId: layer.diffId ?? '',
    files: layer.files ?? 0,
    bytes: layer.bytes ?? 0,
    overwrittenFiles: layer.overwrittenFiles ?? 0,
    overwrittenBytes: layer.overwrittenBytes ?? 0,
    removals: layer.removals ?? 0,
    largest: (layer.largest ?? []).map(readFile),
    overwritten: (layer.overwritten ?? []).map(readFile),
  })),
  truncated: files.truncated ?? false,
})

const readFile = ({ path, bytes, overwrittenBy }: caisson.v1.ILayerFile): model.LayerFile => ({
  path: path ?? '',
  bytes: bytes ?? 0,
  ...(overwrittenBy != null && { overwrittenBy }),
})

export const readRemoval = (answer: caisson.v1.IRemoveImageResponse): model.Removal => ({
  removed: (answer.removed ?? []).map(({ workerId, references, layers, freedBytes }) => ({
    workerId: workerId ?? '',
    references: references ?? [],
    layers: layers ?? 0,
    freedBytes: freedBytes ?? 0,
  })),
  failures: readFailures(answer.failures),
})

export function readPullEvent(event: caisson.v1.PullImageEvent): model.PullEvent {
  const { workerId, progress, pulled } = event
  if (progress) {
    const { digest, doneBytes, totalBytes } = progress
    return { workerId, type: 'progress', digest: digest ?? '', doneBytes: doneBytes ?? 0, totalBytes: totalBytes ?? 0 }
  }
  if (pulled) return { workerId, type: 'pulled', image: readImage(pulled) }
  return { workerId, type: 'failed', ...readFailure(event.failed) }
}

export function readVerifyEvent(event: caisson.v1.VerifyImagesEvent): model.VerifyEvent {
  const { workerId, progress, verified } = event
  if (progress) return { workerId, type: 'progress', ...readStore(progress) }
  if (verified) return { workerId, type: 'verified', ...readStore(verified) }
  return { workerId, type: 'failed', ...readFailure(event.failed) }
}

const readStore = ({ layers, bytes, broken }: caisson.v1.IVerifiedStore): model.VerifiedStore => ({
  layers: layers ?? 0,
  bytes: bytes ?? 0,
  broken: (broken ?? []).map(({ key, storedBytes, problem }) => ({
    key: key ?? '',
    storedBytes: storedBytes ?? 0,
    problem: problem ?? '',
  })),
})

const readFailure = (failure: caisson.v1.IFailure | null | undefined): model.Failure => ({
  reason: failure?.reason ?? '',
  message: failure?.message ?? '',
})

const readFailures = (failures: caisson.v1.IWorkerFailure[] | null | undefined): model.WorkerFailure[] =>
  (failures ?? []).map(({ workerId, failure }) => ({ workerId: workerId ?? '', ...readFailure(failure) }))
