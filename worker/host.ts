import type { caisson } from '../proto/messages.js'
import type { Inbox } from '../redis/inbox.js'
import type { Runs } from '../redis/runs.js'
import type { Capacity, Share } from './capacity.js'
import type { RunCredentials } from './credentials.js'
import type { Images } from './image/images.js'
import type { Log } from './log.js'
import type { ReceiptKey } from './receipt/key.js'
import type { Sandboxes } from './sandbox/sandbox.js'

/** What all runs of one backend share. */
export interface Host {
  runs: Runs
  inbox: Inbox
  credentials: Pick<RunCredentials, 'of'>
  images: Pick<Images, 'prepare' | 'atHand'>
  pool: Sandboxes
  /** Its sandboxes wait ready for any run. */
  startsAtOnce: boolean
  /** Layers that its sandboxes take. */
  maxLowers: number
  capacity: Capacity
  /** What a run takes of the capacity, the walls' own part included. */
  share(limits: caisson.v1.ILimits): Share
  placement: caisson.v1.IPlacement
  receiptKey: ReceiptKey
  log: Log
}
