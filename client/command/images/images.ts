// caisson images: what workers have, and what is in it. One file per verb beside this one.

import type { Command } from 'commander'
import { addHistory } from './history.js'
import { addList } from './list.js'
import { addPrune } from './prune.js'
import { addPull } from './pull.js'
import { addRemove } from './rm.js'
import { addShow } from './show.js'
import { addVerify } from './verify.js'

export function addImages(program: Command): void {
  const images = program.command('images').description('images of the workers: list (the default), fetch, look into, remove')
  for (const add of [addList, addPull, addShow, addHistory, addRemove, addPrune, addVerify]) add(images)
}
