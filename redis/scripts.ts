// The Lua scripts of redis/lua, each one atomic change, as commands of a connection.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Redis } from 'ioredis'
import { eventsKey, inboxKey, inputTakenKey, retentionKey, runKey, startDeadlinesKey, stateKey } from '../proto/keys.js'
import { type Argument, ScriptCommand } from './command.js'

interface Script {
  lua: string
  sha: string
}

// dist/redis/ → redis/lua/
const folder = fileURLToPath(new URL('../../redis/lua/', import.meta.url))

/** Every script, its includes in place. */
function readScripts(): Map<string, Script> {
  const files = readdirSync(folder).filter((name) => name.endsWith('.lua'))
  return new Map(
    files.map((file) => {
      const lua = expand(readFileSync(folder + file, 'utf8'))
      return [file.slice(0, -'.lua'.length), { lua, sha: createHash('sha1').update(lua).digest('hex') }]
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

export class Scripts {
  constructor(private readonly redis: Redis) {
    scripts ??= readScripts()
  }

  /** Strings in the answer are Buffers. */
  async call(name: string, keys: string[], args: Argument[]): Promise<unknown> {
    const script = scripts?.get(name)
    if (script === undefined) throw new Error(`there is no script ${name}`)
    try {
      return await this.redis.sendCommand(new ScriptCommand(script.sha, keys, args))
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
    }
    // A Redis that was started since, or that never saw it.
    await this.redis.script('LOAD', script.lua)
    return this.redis.sendCommand(new ScriptCommand(script.sha, keys, args))
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
