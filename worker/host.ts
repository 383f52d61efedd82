import type { caisson } from '../proto/messages.js'
import type { Inbox } from '../redis/inbox.js'
import type { Runs } from '../redis/runs.js'
import type { Capacity } from './capacity.js'
import type { RunCredentials } from './credentials.js'
import type { Images } from './image/images.js'
import type { Log } from './log.js'
import type { Pool } from './sandbox/pool.js'

/** What all runs of one backend share. */
export interface Host {
  runs: Runs
  inbox: Inbox
  credentials: Pick<RunCredentials, 'of'>
  images: Pick<Images, 'prepare' | 'takeUsed'>
  pool: Pool
  capacity: Capacity
  placement: caisson.v1.IPlacement
  log: Log
}
