// caisson images: what workers have prepared.

import type { Command } from 'commander'
import { addConnectFlags, type ConnectFlags, connect } from './connectFlags.js'
import { write, writeJson } from './output.js'
import { showMicros, showSize } from './quantity.js'
import { table } from './table.js'

export function addImages(program: Command): void {
  const command = program.command('images').description('images that workers have prepared, newest use first')
  addConnectFlags(command).action((_: unknown, self: Command) => images(self.optsWithGlobals<ConnectFlags>()))
}

async function images(flags: ConnectFlags): Promise<void> {
  using caisson = connect(flags)
  const listed = await caisson.images()
  if (flags.json) {
    for (const image of listed) await writeJson(image)
    return
  }
  const rows = listed.map(({ reference, manifestDigest, diffIds, storedBytes, usedAt, workerId }) => {
    const age = usedAt ? `${showMicros((Date.now() - usedAt.getTime()) * 1000)} ago` : ''
    return [reference, manifestDigest.slice(0, 19), String(diffIds.length), showSize(storedBytes), age, workerId]
  })
  await write(process.stdout, table(['IMAGE', 'DIGEST', 'LAYERS', 'STORED', 'USED', 'WORKER'], rows))
}
