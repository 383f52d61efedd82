// The connection of a StreamTail. All output on its way to clients comes through it, so it reads into memory that is used again: a buffer
// for each read and string, as ioredis makes them, kept the garbage collector busier than the output itself.
import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { RedisOptions } from 'ioredis'
import { type Reply, ReplyParser } from './replies.js'

/** A string of so many bytes or more lies in a block of its own, until somebody gives it back. */
const leastBlock = 64 << 10
/** An output event with its largest data fits. */
const blockBytes = (256 << 10) + 512
const mostSpare = 16
const spare: Buffer[] = []
const blocks = new WeakSet<ArrayBufferLike>()

function room(bytes: number): Buffer {
  if (bytes < leastBlock || bytes > blockBytes) return Buffer.allocUnsafe(bytes)
  return (spare.pop() ?? newBlock()).subarray(0, bytes)
}

function newBlock(): Buffer {
  const block = Buffer.allocUnsafeSlow(blockBytes)
  blocks.add(block.buffer)
  return block
}

/** Nobody looks at this string of an answer any more; once. One that is never given back is the garbage collector's. */
export function giveBack({ buffer }: Buffer): void {
  if (blocks.has(buffer) && spare.length < mostSpare) spare.push(Buffer.from(buffer))
}

interface Waiting {
  resolve(reply: Reply): void
  reject(error: Error): void
}

interface Open {
  socket: Socket
  waiting: Waiting[]
  /** By which another connection unblocks it. */
  id: Promise<number>
}

export class TailConnection {
  #open: Open | undefined

  constructor(
    private readonly options: RedisOptions,
    private readonly name: string,
  ) {}

  /** Its number at Redis; connects where it is not. */
  id(): Promise<number> {
    this.#open ??= this.#connect()
    return this.#open.id
  }

  /** Rejects when Redis refuses it, or the connection ends first: then the next one is another. */
  async ask(words: readonly (string | number)[]): Promise<Reply> {
    this.#open ??= this.#connect()
    return send(this.#open, words)
  }

  disconnect(): void {
    this.#open?.socket.destroy()
    this.#open = undefined
  }

  #connect(): Open {
    const { host, port, path, tls } = this.options
    const parser = new ReplyParser(room)
    const buffer = Buffer.allocUnsafeSlow(256 << 10)
    const waiting: Waiting[] = []
    const read = (length: number): boolean => {
      try {
        for (const reply of parser.push(buffer.subarray(0, length))) settle(waiting.shift(), reply)
      } catch (error) {
        socket.destroy(error as Error)
      }
      return true
    }
    const where = {
      ...(path === undefined ? { host: host ?? 'localhost', port: port ?? 6379 } : { path }),
      onread: { buffer, callback: read },
    }
    const socket: Socket = tls ? connectTls({ ...where, ...tls } as ConnectionOptions) : connect(where as NetConnectOpts)
    socket.setNoDelay(true).setKeepAlive(true)
    let why = new Error('the connection to Redis is closed')
    socket.on('error', (error) => {
      why = error
    })
    socket.on('close', () => {
      if (this.#open?.socket === socket) this.#open = undefined
      for (const { reject } of waiting.splice(0)) reject(why)
    })
    const open = { socket, waiting, id: Promise.resolve(0) }
    open.id = introduce(open, this.name, this.options)
    // Whoever asked learns of it there; the next one may find another Redis.
    open.id.catch(() => socket.destroy())
    return open
  }
}

async function introduce(open: Open, name: string, { username, password, db }: RedisOptions): Promise<number> {
  const words: (string | number)[][] = [['CLIENT', 'SETNAME', name]]
  if (password) words.unshift(['AUTH', ...(username ? [username] : []), password])
  if (db) words.push(['SELECT', db])
  const answers = await Promise.all([...words, ['CLIENT', 'ID']].map((each) => send(open, each)))
  return Number(answers.at(-1))
}

function send({ socket, waiting }: Open, words: readonly (string | number)[]): Promise<Reply> {
  return new Promise((resolve, reject) => {
    waiting.push({ resolve, reject })
    const bulks = words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`)
    socket.write(`*${words.length}\r\n${bulks.join('')}`)
  })
}

function settle(waiting: Waiting | undefined, reply: Reply): void {
  if (reply instanceof Error) waiting?.reject(reply)
  else waiting?.resolve(reply)
}
