// For tests: speaks launch.proto, and converts as the test says, so that failures come when they are wanted. It keeps what is held, but knows
// neither budget nor age.
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { encodeFrame, FrameDecoder } from '../../../proto/frame.js'
import { caisson } from '../../../proto/messages.js'
import { temporaryFolder } from '../fixture.js'

const { ConvertResult, Event, Request } = caisson.launch.v1
type IConvert = caisson.launch.v1.IConvert
type IResult = caisson.launch.v1.IConvertResult

export interface Asked extends IConvert {
  blob: Buffer
  published: boolean
  closed: Promise<void>
}

/** How the next conversions go. Undefined: the converter closes its channel without a word. */
export type Script = (asked: Asked, channel: Socket) => Promise<IResult | undefined>

export const converted: Script = async (_, channel) => {
  await ended(channel)
  return { converted: { entries: 1, uncompressedBytes: 1 } }
}

export const ended = (channel: Socket) => new Promise<void>((resolve) => channel.once('end', resolve))

export class ScriptedLauncher implements AsyncDisposable {
  readonly asked: Asked[] = []
  script: Script = converted
  /** What is wrong with a layer, by key. */
  readonly problems = new Map<string, string>()
  readonly #held = new Map<Socket, string[]>()
  readonly #sockets = new Set<Socket>()
  readonly #servers: Server[] = []

  private constructor(readonly folder: { path: string } & AsyncDisposable) {}

  static async start(): Promise<ScriptedLauncher> {
    const launcher = new ScriptedLauncher(await temporaryFolder())
    await mkdir(launcher.store)
    await launcher.#listen(launcher.path, (socket) => launcher.#serve(socket))
    return launcher
  }

  get path(): string {
    return join(this.folder.path, 'launcher.sock')
  }

  get store(): string {
    return join(this.folder.path, 'store')
  }

  die(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.die()
    for (const server of this.#servers) server.close()
    await this.folder[Symbol.asyncDispose]()
  }

  #listen(path: string, onSocket: (socket: Socket) => void): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        this.#held.delete(socket)
      })
      onSocket(socket)
    })
    this.#servers.push(server)
    return new Promise((resolve) => server.listen(path, resolve))
  }

  #serve(socket: Socket): void {
    const decoder = new FrameDecoder()
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    let current: Asked | undefined
    const answer = (event: caisson.launch.v1.IEvent) => socket.write(encodeFrame(Event, event))
    socket.on('end', () => socket.end())
    socket.on('data', async (chunk: Buffer) => {
      for (const message of decoder.push(chunk)) {
        const { convert, publish, hold, release, remove, verify } = Request.decode(message)
        if (convert) {
          current = { ...convert, blob: Buffer.alloc(0), published: false, closed }
          answer({ prepared: { sandboxId: 'c', channelPath: await this.#channel(current) } })
        }
        if (publish && current) answer({ published: await this.#publish(current) })
        if (hold) answer({ held: { missing: this.#hold(socket, hold.keys ?? []) } })
        if (release) answer({ released: this.#release(socket, release.keys ?? []) })
        if (remove) answer({ removed: await this.#remove(remove.keys ?? []) })
        if (verify) answer({ verified: await this.#verify(verify.key ?? '') })
      }
    })
  }

  async #channel(asked: Asked): Promise<string> {
    this.asked.push(asked)
    const path = join(this.folder.path, `channel-${this.asked.length}.sock`)
    await this.#listen(path, async (channel) => {
      channel.on('data', (chunk: Buffer) => {
        asked.blob = Buffer.concat([asked.blob, chunk])
      })
      const result = await this.script(asked, channel)
      if (result) channel.end(encodeFrame(ConvertResult, result))
      else channel.destroy()
    })
    return path
  }

  async #publish(asked: Asked) {
    asked.published = true
    const key = asked.chainId ? `chain-${asked.chainId.slice(7)}` : (asked.diffId ?? '').replace(':', '-')
    await writeFile(join(this.store, `${key}.sqfs`), asked.blob)
    return { key, storedBytes: asked.blob.length }
  }

  /** Keys, as often as they are held; sorted. */
  get held(): string[] {
    return [...this.#held.values()].flat().sort()
  }

  #hold(socket: Socket, keys: string[]): string[] {
    this.#held.set(socket, [...(this.#held.get(socket) ?? []), ...keys])
    return keys.filter((key) => !existsSync(this.#pathOf(key)))
  }

  #release(socket: Socket, keys: string[]) {
    const held = this.#held.get(socket) ?? []
    for (const key of keys) held.splice(held.indexOf(key), 1)
    return {}
  }

  async #remove(wanted: string[]) {
    const all = (await readdir(this.store)).map((name) => name.replace('.sqfs', ''))
    const keys = all.filter((key) => !this.held.includes(key) && (wanted.length === 0 || wanted.includes(key)))
    const sizes = await Promise.all(keys.map(async (key) => (await stat(this.#pathOf(key))).size))
    for (const key of keys) await rm(this.#pathOf(key))
    return { keys, bytes: sizes.reduce((sum, size) => sum + size, 0) }
  }

  async #verify(key: string) {
    const { size } = await stat(this.#pathOf(key))
    const problem = this.problems.get(key)
    if (problem !== undefined) await rm(this.#pathOf(key))
    return { found: true, storedBytes: size, problem: problem ?? '' }
  }

  #pathOf(key: string): string {
    return join(this.store, `${key}.sqfs`)
  }
}
