// What the scripted agent can be told to run.
import { randomBytes } from 'node:crypto'
import { caisson } from '../../proto/messages.js'
import type { Script } from './agent.js'

const { STDERR } = caisson.agent.v1.Stream

const killed = async (agent: Parameters<Script>[0]) => {
  await agent.until(() => agent.killed)
  agent.signaled(9)
}
export const mebibyte = randomBytes(1 << 20)

/** By the first of a run's args. */
export const programs: Record<string, Script> = {
  exit: async (agent, { args }) => {
    agent.started()
    agent.exited(Number(args?.[1]))
  },
  signal: async (agent) => {
    agent.started()
    agent.signaled(11)
  },
  nope: async (agent) => agent.say({ failed: { processId: 1, step: 11, errno: 2, message: 'exec nope: ENOENT' } }),
  seccomp: async (agent) => agent.say({ failed: { processId: 1, step: 10, errno: 22, message: 'seccomp: EINVAL' } }),
  talk: async (agent) => {
    agent.started()
    await agent.output(Buffer.from('out 1\n'))
    await agent.output(Buffer.from('err\n'), STDERR)
    await agent.output(Buffer.from('out 2\n'))
    agent.exited(0)
  },
  flood: async (agent, { args }) => {
    agent.started()
    const mebibytes = Number(args?.[1])
    for (let count = 0; count < mebibytes; count++) await agent.output(mebibyte)
    agent.exited(0)
  },
  endless: async (agent) => {
    agent.started()
    while (!agent.killed) await agent.output(mebibyte)
    agent.signaled(9)
  },
  sleep: async (agent) => {
    agent.started()
    await killed(agent)
  },
  cat: async (agent) => {
    agent.started(1000)
    await agent.until(() => agent.inputEnded)
    await agent.output(Buffer.concat(agent.input))
    agent.exited(0)
  },
  trap: async (agent) => {
    agent.started()
    await agent.output(Buffer.from('ready'))
    await agent.until(() => agent.signals.length > 0)
    agent.exited(agent.signals[0] ?? 0)
  },
  mute: async (agent) => agent.started(),
  deaf: async () => {},
  die: async (agent) => {
    agent.started()
    agent.hangUp()
  },
  lie: async (agent) => {
    agent.started()
    agent.started()
  },
}
