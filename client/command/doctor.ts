// caisson doctor: exits 0 when at least one backend works here; with --attack, when every wall held.

import { type Command, Option } from 'commander'
import { examine } from '../doctor/doctor.js'
import { reportText } from '../doctor/report.js'
import { defaultAddress } from '../sdk/address.js'
import { type AttackFlags, addAttackFlags, attack } from './attack.js'
import { addConnectFlags, type ConnectFlags, connect } from './connectFlags.js'
import { exitOwnFailure } from './exit.js'
import { write, writeJson } from './output.js'

type DoctorFlags = ConnectFlags & AttackFlags & { redis?: string; redisCa?: string; name: string }

export function addDoctor(program: Command): void {
  const command = program.command('doctor').description('what this machine can do and, for each no, why (as root it knows more)')
  command
    .option('--name <name>', 'of the service whose Redis is asked', 'default')
    .addOption(new Option('--redis <url>', 'ask this Redis instead').env('CAISSON_REDIS'))
    .option('--redis-ca <file>', 'certificates (PEM) of those who alone may have signed that of rediss://')
  addAttackFlags(command)
  addConnectFlags(command).action(async (_: unknown, self: Command) => {
    const flags = self.optsWithGlobals<DoctorFlags>()
    process.exitCode = await (flags.attack ? attack(flags) : doctor(flags))
  })
}

async function doctor(flags: DoctorFlags): Promise<number> {
  using caisson = connect(flags)
  const { address = defaultAddress, redis, redisCa, name } = flags
  const examined = await examine(caisson, { address, name, redis, redisCa })
  await (flags.json ? writeJson(examined) : write(process.stdout, reportText(examined)))
  return examined.works ? 0 : exitOwnFailure
}
