// An instance for the tests of one file, and the host compared before and after.

import { after, before } from 'node:test'
import type { Caisson } from '../../client/sdk/caisson.js'
import { expectSameHost, type Host, lookAtHost } from './host.js'
import { Instance, type InstanceOptions } from './instance.js'

export class Fixture {
  #instance: Instance | undefined

  constructor(options: InstanceOptions = {}, whenReady: (caisson: Caisson) => Promise<unknown> = async () => {}) {
    let host: Host
    before(async () => {
      host = await lookAtHost()
      this.#instance = await Instance.start(options)
      await whenReady(this.caisson)
    })
    after(async () => {
      if (!this.#instance) return
      await this.#instance.stop()
      await expectSameHost(host, this.#instance.name)
    })
  }

  get instance(): Instance {
    if (!this.#instance) throw new Error('the instance is not started')
    return this.#instance
  }

  get caisson(): Caisson {
    return this.instance.caisson
  }
}
