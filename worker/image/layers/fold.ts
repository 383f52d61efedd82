// Several layers of the store made one by the converter, which gets them from the launcher.
import { LauncherConnection } from '../../sandbox/launcher.js'
import { unlessAborted } from '../../within.js'
import { ConverterChannel } from './channel.js'
import { checkConverted, type Making, publish, storeFull } from './conversion.js'

export interface Folding extends Making {
  /** In the store, oldest first. */
  layers: string[]
  /** Of the topmost, for messages. */
  chainId: string
}

/** The launcher's own bound. */
const mostBytes = 2 ** 50

/** The key in the store. */
export async function foldLayers(folding: Folding, signal: AbortSignal): Promise<string> {
  using launcher = await LauncherConnection.connect(folding.launcherPath)
  return await unlessAborted(Promise.race([fold(launcher, folding), launcher.lost]), signal).catch(storeFull)
}

async function fold(launcher: LauncherConnection, folding: Folding): Promise<string> {
  const { layers, limits, chainId } = folding
  const maxBytes = Math.min(limits.bytes * layers.length, mostBytes)
  const { channelPath } = await launcher.ask({ fold: { layers, maxBytes, maxEntries: limits.entries } }, 'prepared')
  using channel = new ConverterChannel(channelPath)
  channel.end()
  const subject = { what: 'the folded layers up to chain', digest: chainId }
  checkConverted(await channel.result, subject)
  return await publish(launcher, folding, subject)
}
