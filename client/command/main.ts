#!/usr/bin/env node
// The caisson command. One file per verb beside this one.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { findInstallation } from '../up/installation.js'
import { addCancel } from './cancel.js'
import { addGlobalFlags } from './connectFlags.js'
import { addDoctor } from './doctor.js'
import { exitOwnFailure } from './exit.js'
import { tellFailure } from './failure.js'
import { addImages } from './images/images.js'
import { addPs } from './ps.js'
import { addReceipt } from './receipt/receipt.js'
import { addRm } from './rm.js'
import { addRun } from './run.js'
import { addShow } from './show.js'
import { addSubmit } from './submit.js'
import { addUp } from './up.js'
import { addWatch } from './watch.js'

const program = new Command('caisson')
  .description('Runs untrusted programs behind a wall, from a durable queue.')
  .version(readVersion())
  .enablePositionalOptions()
  .exitOverride()

addGlobalFlags(program)
let json = false
program.hook('preAction', (_, verb) => {
  json = verb.optsWithGlobals<{ json?: boolean }>().json ?? false
})
for (const add of [addUp, addRun, addSubmit, addWatch, addCancel, addPs, addShow, addReceipt, addRm, addImages, addDoctor])
  add(program)

try {
  await program.parseAsync()
} catch (error) {
  // commander has told its own errors already; help and version are none.
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : exitOwnFailure)
  tellFailure(error, json)
  process.exitCode = exitOwnFailure
}
// Every byte is written by now; an input that is still being read must not hold the end back.
process.exit()

function readVersion(): string {
  const { version } = JSON.parse(readFileSync(join(findInstallation().folder, 'package.json'), 'utf8'))
  return version
}
