// Who may have signed the certificate of a Redis behind TLS.
import { readFileSync } from 'node:fs'

/** What is wrong with --redis-ca. */
export class RedisCaError extends Error {
  override readonly name = 'RedisCaError'
}

/** Undefined: the public authorities. */
export function readRedisCa(file: string | undefined, address: string): string | undefined {
  if (file === undefined) return undefined
  if (!address.startsWith('rediss://')) throw new RedisCaError('--redis-ca is of use only with --redis rediss://…')
  const text = read(file)
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw new RedisCaError(`--redis-ca ${file} holds no certificate (PEM)`)
  return text
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new RedisCaError(`--redis-ca ${file} cannot be read: ${(error as Error).message}`)
  }
}
