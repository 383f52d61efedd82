// caisson doctor --attack: the hostile programs, on every wall that a service offers. Exits 0 when all of them held.

import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { attackAll, type Report } from '../attack/attack.js'
import { Canaries } from '../attack/canaries.js'
import { type Attack, readCorpus } from '../attack/corpus.js'
import { writeImages } from '../attack/image.js'
import type { Result } from '../attack/judge.js'
import { headline, resultLine, summary } from '../attack/present.js'
import { Caisson } from '../sdk/caisson.js'
import type { BackendName } from '../sdk/model.js'
import { findInstallation } from '../up/installation.js'
import { Stops } from '../up/stops.js'
import { TemporaryService } from '../up/temporary.js'
import { type ConnectFlags, connect } from './connectFlags.js'
import { note, tolerateBrokenPipes, write, writeJson } from './output.js'

const exitBroken = 1
const exitStopped = 130

export interface AttackFlags {
  attack?: boolean
  only?: string
  images?: string
  backend?: BackendName
  allowEmulation?: boolean
  patience: number
}

export function addAttackFlags(command: Command): void {
  command
    .option(
      '--attack',
      'run the hostile programs on every wall: of a service of its own (as root), or, with --address, of that one',
    )
    .option('--only <words>', 'of the hostile programs these, or those of these classes; with commas between')
    .addOption(new Option('--backend <name>', 'only this wall').choices(['container', 'microvm']))
    .option('--images <folder>', 'with --attack and --address: a folder of images of that service, which must be on this host')
    .option('--allow-emulation', 'with --attack: also a microVM that is only emulated')
    .option('--patience <factor>', 'with --attack: a slow machine gives each program this many times as long', factor, 1)
}

export async function attack(flags: ConnectFlags & AttackFlags): Promise<number> {
  tolerateBrokenPipes()
  const corpus = await readCorpus(findInstallation(), flags.only)
  const stops = new Stops()
  const report = await (flags.address === undefined
    ? onOwnService(flags, corpus, stops)
    : onRunningService(flags, flags.address, corpus, stops))
  await (flags.json ? writeJson(report) : write(process.stdout, summary(report)))
  if (stops.first.aborted) return exitStopped
  return report.broken === 0 && report.held > 0 ? 0 : exitBroken
}

/** Beside whatever else runs on this host, and gone afterwards. */
async function onOwnService(flags: ConnectFlags & AttackFlags, corpus: Attack[], stops: Stops): Promise<Report> {
  if (process.getuid?.() !== 0) {
    throw new Error('--attack must be root, to start a service of its own (or name a running one with --address and --images)')
  }
  await using folder = await ImageFolder.make(tmpdir())
  const workerArgs = flags.allowEmulation ? ['--allow-emulation'] : []
  await using service = await TemporaryService.start({ purpose: 'attack', images: folder.path, workerArgs }, stops)
  using caisson = Caisson.connect({ address: service.address })
  await using canaries = await Canaries.place([service.address], [service.state, service.name, folder.path])
  const isHere = true
  return await attackAll({ ...common(flags, corpus, stops), caisson, image: `oci:${folder.path}`, canaries, isHere })
}

async function onRunningService(
  flags: ConnectFlags & AttackFlags,
  address: string,
  corpus: Attack[],
  stops: Stops,
): Promise<Report> {
  if (flags.images === undefined)
    throw new Error(
      '--attack --address: name one of the folders that its worker reads images from (--images), for those of the attack',
    )
  using caisson = connect(flags)
  await using folder = await ImageFolder.make(resolve(flags.images))
  await using canaries = await Canaries.place([address], [folder.path])
  return await attackAll({ ...common(flags, corpus, stops), caisson, image: `oci:${folder.path}`, canaries, isHere: true })
}

function common({ json, backend, patience }: ConnectFlags & AttackFlags, corpus: Attack[], { first }: Stops) {
  if (!json) note(headline(corpus))
  const tell = (result: Result) => {
    if (!json) process.stdout.write(`${resultLine(result)}\n`)
  }
  return { corpus, backends: backend === undefined ? [] : [backend], patience, signal: first, tell }
}

function factor(text: string): number {
  const value = Number(text)
  if (!(value >= 1 && value <= 1000)) throw new InvalidArgumentError('a number from 1 to 1000')
  return value
}

/** Readable for a worker, which is an ordinary user. */
class ImageFolder implements AsyncDisposable {
  private constructor(
    readonly path: string,
    private readonly parent: string,
  ) {}

  static async make(inside: string): Promise<ImageFolder> {
    const parent = await mkdtemp(join(inside, 'caisson-attack-images-'))
    await chmod(parent, 0o755)
    const path = join(parent, 'attack')
    await mkdir(path)
    await writeImages(path, findInstallation())
    return new ImageFolder(path, parent)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.parent, { recursive: true })
  }
}
