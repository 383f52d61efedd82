// The key by which a worker signs receipts: made at its first start, in a folder that only the worker's user enters.
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto'
import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Envelope, payloadType, signedBytes } from '../../proto/receipt.js'

const othersBits = 0o077

export class ReceiptKey {
  /** PEM. */
  readonly publicKey: string
  /** SHA-256 of the public key (DER) in hexadecimal digits. */
  readonly id: string
  readonly #private: KeyObject

  private constructor(key: KeyObject) {
    const spki = createPublicKey(key)
    this.#private = key
    this.publicKey = spki.export({ type: 'spki', format: 'pem' }).toString()
    this.id = createHash('sha256')
      .update(spki.export({ type: 'spki', format: 'der' }))
      .digest('hex')
  }

  /** Lost with the process. */
  static fresh(): ReceiptKey {
    return new ReceiptKey(generateKeyPairSync('ed25519').privateKey)
  }

  static async open(folder: string): Promise<ReceiptKey> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const path = join(folder, 'receipt-key.pem')
    if ((await readOwn(path)) === undefined) {
      const pem = ReceiptKey.fresh().#private.export({ type: 'pkcs8', format: 'pem' })
      await put(folder, path, pem.toString())
    }
    return new ReceiptKey(parse(path, (await readOwn(path)) ?? ''))
  }

  seal(statement: string): Buffer {
    const payload = Buffer.from(statement)
    const sig = sign(null, signedBytes(payloadType, payload), this.#private).toString('base64')
    const envelope: Envelope = { payload: payload.toString('base64'), payloadType, signatures: [{ keyid: this.id, sig }] }
    return Buffer.from(JSON.stringify(envelope))
  }
}

async function readOwn(path: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(path)
    if (mode & othersBits) throw new Error(`${path} has mode ${(mode & 0o777).toString(8)}: others than its owner may not use it`)
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function parse(path: string, text: string): KeyObject {
  try {
    const key = createPrivateKey(text)
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch {
    // Told below, without what stands in the file.
  }
  throw new Error(`${path} holds no private key of ed25519 (PEM)`)
}

/**
 * On disk before it has its name: what was signed by a key that a crash takes away could never be verified by the next worker's. Of two that
 * make one at the same time, the first is kept.
 */
async function put(folder: string, path: string, pem: string): Promise<void> {
  const fresh = `${path}.${randomUUID()}`
  const file = await open(fresh, 'wx', 0o600)
  try {
    await file.writeFile(pem)
    await file.sync()
  } finally {
    await file.close()
  }
  await link(fresh, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  await rm(fresh)
  const directory = await open(folder)
  await directory.sync()
  await directory.close()
}
