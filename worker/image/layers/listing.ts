// Which files layers of the store have: the launcher opens them for the lister (native/lister), a process behind walls of its own, that reads
// the squashfs images we built, and never the image's own tars.
import { connect } from 'node:net'
import { FrameDecoder } from '../../../proto/frame.js'
import { caisson } from '../../../proto/messages.js'
import { LauncherConnection } from '../../sandbox/launcher.js'
import { unlessAborted, within } from '../../within.js'

const { Answer } = caisson.listing.v1
type Listing = caisson.listing.v1.Listing

/** For the launcher to tell how the lister ended, once its channel is closed. */
const endedMs = 10_000

/** More entries in all than are compared. */
export class TooManyFiles extends Error {
  override readonly name = 'TooManyFiles'
}

/** Oldest layer first. */
export async function listLayers(launcherPath: string, list: caisson.launch.v1.IList, signal: AbortSignal): Promise<Listing[]> {
  using launcher = await LauncherConnection.connect(launcherPath)
  return await unlessAborted(Promise.race([told(launcher, list), launcher.lost]), signal)
}

async function told(launcher: LauncherConnection, list: caisson.launch.v1.IList): Promise<Listing[]> {
  const { channelPath } = await launcher.ask({ list }, 'prepared')
  const wanted = list.only == null ? (list.layers?.length ?? 0) : 1
  const listings = await read(channelPath)
  if (listings.length === wanted) return listings
  return await within(launcher.lost, endedMs, () => new Error(`the lister told of ${listings.length} layers, not of ${wanted}`))
}

/** As many as there are layers: each a frame, and a frame is bounded. */
async function read(channelPath: string): Promise<Listing[]> {
  const decoder = new FrameDecoder()
  const listings: Listing[] = []
  for await (const chunk of connect(channelPath)) {
    for (const frame of decoder.push(chunk as Buffer)) {
      const { listing, refusal } = Answer.decode(frame)
      if (refusal?.tooMany) throw new TooManyFiles(refusal.message ?? '')
      if (!listing) throw new Error(`the lister: ${refusal?.message}`)
      listings.push(listing as Listing)
    }
  }
  return listings
}
