import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Below those that Linux gives to whoever connects (from 32768 on), so that none of them comes by it before it is listened at. */
const [first, end] = [10_000, 32_768]
const tries = 100

/** A port of 127.0.0.1 at which nobody listens. */
export async function freePort(): Promise<number> {
  for (let i = 0; i < tries; i++) {
    const port = randomInt(first, end)
    if (await isFree(port)) return port
  }
  throw new Error(`no port from ${first} to ${end - 1} is free`)
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
