// What ImageService hands out, as plain objects. These are also the shapes of `caisson images … --json`. Everything that an image says of itself
// is its maker's text: escape it before it reaches a terminal.

/** An image that a worker has. */
export interface Image {
  /** That stand for it there, in full; at least one. */
  references: string[]
  manifestDigest: string
  configDigest: string
  layers: number
  /** Shared layers included. */
  storedBytes: number
  usedAt?: Date
  /** Runs and pulls that hold it now. */
  uses: number
  workerId: string
}

export interface Failure {
  /** Constant of proto/reason.ts. */
  reason: string
  message: string
}

export interface WorkerFailure extends Failure {
  workerId: string
}

export interface ImageList {
  images: Image[]
  /** A worker has more. */
  truncated: boolean
  failures: WorkerFailure[]
}

export interface ImageDetails {
  image: Image
  architecture: string
  os: string
  author: string
  created: string
  process: { entrypoint: string[]; cmd: string[]; env: string[]; workingDir: string; user: string }
  labels: Record<string, string>
  /** Oldest first. */
  layers: ImageLayer[]
  /** Oldest first. */
  history: ImageStep[]
  /** Texts were cut or left out. */
  truncated: boolean
}

export interface ImageLayer {
  diffId: string
  blobDigest: string
  blobBytes: number
  storedBytes: number
  /** One reference of each other image that has it, 20 at most. */
  sharedWith: string[]
  sharedCount: number
}

export interface ImageStep {
  created: string
  createdBy: string
  comment: string
  /** It made no layer. */
  empty: boolean
  /** Into `layers`. */
  layer?: number
}

export interface ImageFiles {
  workerId: string
  layers: LayerFiles[]
  truncated: boolean
}

export interface LayerFiles {
  diffId: string
  files: number
  bytes: number
  overwrittenFiles: number
  overwrittenBytes: number
  removals: number
  largest: LayerFile[]
  overwritten: LayerFile[]
}

export interface LayerFile {
  path: string
  bytes: number
  /** Into the image's layers. */
  overwrittenBy?: number
}

/** What left the store of one worker. */
export interface Removed {
  workerId: string
  references: string[]
  layers: number
  freedBytes: number
}

export interface Removal {
  removed: Removed[]
  failures: WorkerFailure[]
}

export interface VerifiedStore {
  layers: number
  bytes: number
  /** Taken out of the store: their next use makes them anew. */
  broken: { key: string; storedBytes: number; problem: string }[]
}

export type PullEvent = { workerId: string } & (
  | { type: 'progress'; digest: string; doneBytes: number; totalBytes: number }
  | { type: 'pulled'; image: Image }
  | ({ type: 'failed' } & Failure)
)

export type VerifyEvent = { workerId: string } & (
  | ({ type: 'progress' | 'verified' } & VerifiedStore)
  | ({ type: 'failed' } & Failure)
)
