// One `up` per name and per state folder: a listening socket, which the kernel forgets when its holder dies.

import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'

export const lockName = 'up.sock'

/** Holds the lock until the returned server is closed. The folder is root's: nobody else can take it. */
export async function lock(path: string, what: string): Promise<Server> {
  if (await answers(path)) throw new Error(`${what} is in use by another "caisson up"`)
  await rm(path, { force: true })
  const server = createServer((socket) => socket.destroy())
  server.listen(path)
  await once(server, 'listening')
  // It says that we live; it keeps nobody alive.
  return server.unref()
}

export const unlock = (held: Server): Promise<void> => new Promise((resolve) => held.close(() => resolve()))

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.on('error', () => resolve(false))
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
