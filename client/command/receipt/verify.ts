// caisson receipt verify: whether a receipt is what a trusted worker signed. Its exit codes:
//
//   0    it is
//   1    it is not: the signature is not one of this receipt, or this is no receipt
//   2    it names a key that is none of those given
//   3    it is, but of another run, or it does not agree with the service's record
//   125  it could not be found out: a file cannot be read, no service answers

import { open } from 'node:fs/promises'
import type { Command } from 'commander'
import { maxReceiptBytes, type Statement } from '../../../proto/receipt.js'
import { ReceiptError, readKeys, verifyReceipt } from '../../sdk/receipt.js'
import { addConnectFlags, type ConnectFlags, connect } from '../connectFlags.js'
import { note, write, writeJson } from '../output.js'
import { describe } from './describe.js'

type VerifyFlags = ConnectFlags & { key: string[]; run?: string; compare?: boolean }

const exits = { MALFORMED: 1, BAD_SIGNATURE: 1, UNKNOWN_KEY: 2, DISAGREES: 3 } as const

export function addVerify(receipt: Command): void {
  const command = receipt
    .command('verify')
    .description('whether a receipt was signed by one of these keys; needs no service without --compare')
    .argument('<file>', "a receipt, or '-' for stdin")
    .requiredOption('--key <file...>', 'public keys that are trusted (PEM, any number in a file)')
    .option('--run <run-id>', 'it must be of this run')
    .option('--compare', "it must agree with the service's record: spec, image, attempt, verdict")
  addConnectFlags(command).action((file: string, _: unknown, self: Command) => verify(file, self.optsWithGlobals<VerifyFlags>()))
}

async function verify(file: string, flags: VerifyFlags): Promise<void> {
  const envelope = await readReceipt(file)
  const keys = (await Promise.all(flags.key.map(keysIn))).flat()
  try {
    const statement = verifyReceipt(envelope, keys)
    await judge(statement, await differences(statement, flags), flags)
  } catch (error) {
    if (!(error instanceof ReceiptError)) throw error
    process.exitCode = exits[error.fault]
    if (flags.json) await writeJson({ verified: false, fault: error.fault, message: error.message })
    else note(error.message)
  }
}

async function differences(statement: Statement, flags: VerifyFlags): Promise<string[]> {
  const isOther = flags.run !== undefined && flags.run !== statement.predicate.run.id
  if (isOther || !flags.compare) return isOther ? ['run'] : []
  using caisson = connect(flags)
  return await caisson.disagreements(statement)
}

async function judge(statement: Statement, differs: string[], flags: VerifyFlags): Promise<void> {
  const verified = differs.length === 0
  if (!verified) process.exitCode = exits.DISAGREES
  const message = `it is signed as it should be, but says otherwise than expected of: ${differs.join(', ')}`
  if (flags.json) return writeJson({ verified, ...(!verified && { fault: 'DISAGREES', message }), statement })
  if (!verified) return note(message)
  await write(process.stdout, describe(statement))
}

/** One byte more than a receipt may have shows that it is none. */
async function readReceipt(file: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  const stream = file === '-' ? process.stdin : (await open(file)).createReadStream()
  for await (const chunk of stream) {
    chunks.push(chunk as Buffer)
    bytes += chunk.length
    if (bytes > maxReceiptBytes) break
  }
  return Buffer.concat(chunks)
}

async function keysIn(file: string) {
  const handle = await open(file)
  try {
    return readKeys(await handle.readFile('utf8'))
  } catch (error) {
    throw new Error(`--key ${file}: ${error instanceof Error ? error.message : error}`)
  } finally {
    await handle.close()
  }
}
