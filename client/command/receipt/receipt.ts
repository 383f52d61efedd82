// caisson receipt: what wall a run had, signed by its worker.

import type { Command } from 'commander'
import { addKeys } from './keys.js'
import { addShow } from './show.js'
import { addVerify } from './verify.js'

export function addReceipt(program: Command): void {
  const command = program.command('receipt').description('what wall a run had, signed by its worker')
  for (const add of [addShow, addVerify, addKeys]) add(command)
}
