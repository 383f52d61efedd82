// Instances for the tests of one file, and the host compared before the first and after the last.

import { after } from 'node:test'
import type { Caisson } from '../../client/sdk/caisson.js'
import { expectSameHost, type Host, lookAtHost } from './host.js'
import { Instance, type InstanceOptions } from './instance.js'

interface Started {
  name: string
  stop(): Promise<void>
}

const started: Started[] = []
let hostBefore: Host | undefined

/** All are stopped before the host is looked at: each would take the others for something left behind. */
async function stopAll(before: Host): Promise<void> {
  for (const { stop } of started.reverse()) await stop()
  await expectSameHost(
    before,
    started.map(({ name }) => name),
  )
}

export class Fixture {
  private constructor(readonly instance: Instance) {}

  /** `prepare` comes after the look at the host, and what it makes is undone by the function that it returns. */
  static async start(
    options: InstanceOptions = {},
    prepare?: () => Promise<{ options: InstanceOptions; undo: () => Promise<void> }>,
  ): Promise<Fixture> {
    if (hostBefore === undefined) {
      const before = await lookAtHost()
      hostBefore = before
      after(() => stopAll(before))
    }
    const prepared = await prepare?.()
    const instance = await Instance.start({ ...options, ...prepared?.options })
    const stop = async () => {
      await instance.stop()
      await prepared?.undo()
    }
    started.push({ name: instance.name, stop })
    return new Fixture(instance)
  }

  get caisson(): Caisson {
    return this.instance.caisson
  }
}
