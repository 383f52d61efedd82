// A run whose image is at hand starts with the script that takes it.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { caisson } from '../proto/messages.js'
import type { Script } from './scripted/agent.js'
import { image, World } from './scripted/world.js'

const { Effect, State } = caisson.v1

const scripts: Record<string, Script> = {
  exit: async (agent) => {
    agent.started()
    agent.exited(0)
  },
  sleep: async (agent) => {
    agent.started()
    await agent.until(() => agent.killed)
    agent.signaled(9)
  },
}

let world: World
before(async () => {
  world = await World.open(scripts)
})
beforeEach(() => {
  world.launcher.failStart = undefined
})
after(() => world[Symbol.asyncDispose]())

const statesOf = (events: caisson.v1.RunEvent[]) => events.flatMap(({ state }) => (state ? [State[state.state ?? 0]] : []))
const whole = ['QUEUED', 'PREPARING', 'STARTING', 'RUNNING']

describe('an image at hand', () => {
  test('a run is STARTING as soon as it is taken', async () => {
    world.atHand = [['oci:/images/a', 'sha256:00']]
    const { events } = await world.run({ args: ['exit'] })
    assert.deepEqual(statesOf(events), whole)
    world.launcher.failStart = { step: 'mount overlay', errno: 1, message: 'mount overlay: EPERM' }
    const { verdict } = await world.run({ args: ['exit'] })
    assert.deepEqual([verdict.reason, verdict.effect], ['SANDBOX_FAILED', Effect.NEVER_STARTED])
  })

  test('an image that means something else by then is recorded as what it is', async () => {
    world.atHand = [['oci:/images/a', 'sha256:99']]
    const runId = await world.submit({ args: ['exit'] })
    assert.deepEqual(statesOf((await world.end(runId)).events), whole)
    assert.equal((await world.record(runId)).imageDigest, image.manifestDigest)
  })

  test('a run that must wait for room is PREPARING meanwhile, whatever is at hand', async () => {
    world.atHand = [['oci:/images/a', 'sha256:00']]
    const first = await world.submit({ args: ['sleep'] }, { cpuMillis: 1000 })
    await world.until(first, State.RUNNING)
    const second = await world.submit({ args: ['exit'] }, { cpuMillis: 1000 })
    await world.until(second, State.PREPARING)
    await world.submissions.cancel(first)
    assert.deepEqual(statesOf((await world.end(second)).events), whole)
  })
})
