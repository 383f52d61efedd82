// caisson doctor: exits 0 when at least one backend works here; with --attack, when every wall held.

import type { Command } from 'commander'
import { examine } from '../doctor/doctor.js'
import { reportText } from '../doctor/report.js'
import { defaultAddress } from '../sdk/address.js'
import { type AttackFlags, addAttackFlags, attack } from './attack.js'
import { addConnectFlags, type ConnectFlags, connect } from './connectFlags.js'
import { exitOwnFailure } from './exit.js'
import { write, writeJson } from './output.js'

type DoctorFlags = ConnectFlags & AttackFlags & { redis?: string; name: string }

export function addDoctor(program: Command): void {
  const command = program.command('doctor').description('what this machine can do and, for each no, why (as root it knows more)')
  command
    .option('--name <name>', 'of the service whose Redis is asked', 'default')
    .option('--redis <url>', 'ask this Redis instead')
  addAttackFlags(command)
  addConnectFlags(command).action(async (_: unknown, self: Command) => {
    const flags = self.optsWithGlobals<DoctorFlags>()
    process.exitCode = await (flags.attack ? attack(flags) : doctor(flags))
  })
}

async function doctor(flags: DoctorFlags): Promise<number> {
  using caisson = connect(flags)
  const { address = defaultAddress, redis, name } = flags
  const examined = await examine(caisson, { address, name, ...(redis !== undefined && { redis }) })
  await (flags.json ? writeJson(examined) : write(process.stdout, reportText(examined)))
  return examined.works ? 0 : exitOwnFailure
}
