import { Failure, type RunReasonName } from '../../proto/reason.js'

export type ImageReason = RunReasonName & (`IMAGE_${string}` | 'COMMAND_MISSING')

/**
 * What the client or the image did wrong: the run ends as IMAGE_ERROR, never started, and is never tried again.
 * Any other error that leaves worker/image/ is ours (disk, launcher, kernel), and the run may be tried again.
 */
export class ImageError extends Failure {
  /** The request field to blame, where it is one. */
  readonly field?: string
  readonly digest?: string

  constructor(reason: ImageReason, message: string, details: { field?: string; digest?: string; cause?: unknown } = {}) {
    super(reason, message, details.cause === undefined ? undefined : { cause: details.cause })
    if (details.field !== undefined) this.field = details.field
    if (details.digest !== undefined) this.digest = details.digest
  }
}

/** No image of this worker is meant. */
export class ImageUnknown extends Error {
  override readonly name = 'ImageUnknown'
}

/** It cannot be removed: a run has it. */
export class ImageInUse extends Error {
  override readonly name = 'ImageInUse'
}
