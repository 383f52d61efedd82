// An instance for the tests of one file, and the host compared before and after.

import { after } from 'node:test'
import type { Caisson } from '../../client/sdk/caisson.js'
import { expectSameHost, lookAtHost } from './host.js'
import { Instance, type InstanceOptions } from './instance.js'

export class Fixture {
  private constructor(readonly instance: Instance) {}

  /** `prepare` comes after the look at the host, and what it makes is undone by the function that it returns. */
  static async start(
    options: InstanceOptions = {},
    prepare?: () => Promise<{ options: InstanceOptions; undo: () => Promise<void> }>,
  ): Promise<Fixture> {
    const host = await lookAtHost()
    const prepared = await prepare?.()
    const instance = await Instance.start({ ...options, ...prepared?.options })
    after(async () => {
      await instance.stop()
      await prepared?.undo()
      await expectSameHost(host, instance.name)
    })
    return new Fixture(instance)
  }

  get caisson(): Caisson {
    return this.instance.caisson
  }
}
