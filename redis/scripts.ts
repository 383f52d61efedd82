// The Lua scripts of redis/lua, each one atomic change, as commands of a connection.
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Redis } from 'ioredis'
import { eventsKey, inboxKey, inputTakenKey, retentionKey, runKey, startDeadlinesKey, stateKey } from '../proto/keys.js'

export type Argument = string | number | Buffer | Uint8Array

interface Script {
  lua: string
  numberOfKeys: number
}

// dist/redis/ → redis/lua/
const folder = fileURLToPath(new URL('../../redis/lua/', import.meta.url))

/** Every script, its includes in place. How many keys it takes is what its header lists. */
export function readScripts(): Map<string, Script> {
  const files = readdirSync(folder).filter((name) => name.endsWith('.lua'))
  return new Map(
    files.map((file) => {
      const text = readFileSync(folder + file, 'utf8')
      const numberOfKeys = text.match(/^-- KEYS\[\d+\]/gm)?.length ?? 0
      return [file.slice(0, -'.lua'.length), { lua: expand(text), numberOfKeys }]
    }),
  )
}

function expand(text: string): string {
  return text
    .replace(/^--- @include (\w+)$/gm, (_, name: string) => expand(readFileSync(`${folder}include/${name}.lua`, 'utf8')))
    .replace(/^ *--- @bullmq (\S+)$/gm, (_, name: string) => bullmqScript(name))
}

/** BullMQ publishes its scripts as modules beside its classes, without types. The version is pinned; a test runs what is made of them. */
function bullmqScript(file: string): string {
  const exported: Record<string, { content: string }> = createRequire(import.meta.url)(`bullmq/dist/cjs/scripts/${file}.js`)
  const script = Object.values(exported)[0]
  if (script === undefined) throw new Error(`BullMQ has no script ${file}`)
  return script.content
}

let scripts: Map<string, Script> | undefined

type Commands = Record<string, (...args: Argument[]) => Promise<unknown>>

const known = new WeakMap<Redis, Scripts>()

export class Scripts {
  readonly #commands: Commands

  static of(redis: Redis): Scripts {
    const there = known.get(redis) ?? new Scripts(redis)
    known.set(redis, there)
    return there
  }

  private constructor(redis: Redis) {
    scripts ??= readScripts()
    for (const [name, script] of scripts) redis.defineCommand(command(name), script)
    // What defineCommand adds, TypeScript cannot see.
    this.#commands = redis as unknown as Commands
  }

  /** Strings in the answer are Buffers. */
  call(name: string, keys: string[], args: Argument[]): Promise<unknown> {
    const run = this.#commands[`${command(name)}Buffer`]
    if (run === undefined) throw new Error(`there is no script ${name}`)
    return run.call(this.#commands, ...keys, ...args)
  }
}

/** The first seven keys of every script that changes a run's state. */
export const runKeys = (runId: string): string[] => [
  runKey(runId),
  eventsKey(runId),
  inboxKey(runId),
  inputTakenKey(runId),
  stateKey(''),
  startDeadlinesKey,
  retentionKey,
]

const command = (name: string) => `caisson_${name}`
