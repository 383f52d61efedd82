// QEMU as anybody would start it by hand, without jail, launcher or service: the same machine, kernel and agent.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { argsOf } from '../../worker/sandbox/qemuArgs.js'
import { restoring, saving } from '../../worker/sandbox/qemuTalk.js'
import { Qmp } from '../../worker/sandbox/qmp.js'
import type { MachineSpec, Step } from '../../worker/sandbox/vmm.js'

const program = 'qemu-system-x86_64'

/** One that runs, and what it answers by. */
interface Running {
  process: ChildProcess
  started: number
  agent: string
  control: string
}

export class BareMachine implements AsyncDisposable {
  readonly #folder: string
  readonly #kernel: string
  readonly #shape: Omit<MachineSpec, 'origin'>
  #count = 0

  private constructor(folder: string, kernel: string, shape: Omit<MachineSpec, 'origin'>) {
    this.#folder = folder
    this.#kernel = kernel
    this.#shape = shape
  }

  /** In memory, as a template is. */
  static async make(kernel: string, initramfs: string, shape: Omit<MachineSpec, 'origin'>): Promise<BareMachine> {
    const folder = await mkdtemp('/dev/shm/caisson-bench-')
    await copyFile(initramfs, join(folder, 'initramfs'))
    const machine = new BareMachine(folder, kernel, shape)
    await machine.#save()
    return machine
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** Milliseconds from the start of QEMU to the agent's first word. */
  async coldBoot(): Promise<number> {
    const running = this.#start({ kind: 'kernel' })
    try {
      return await untilHello(running)
    } finally {
      await end(running)
    }
  }

  async restore(): Promise<number> {
    const running = this.#start({ kind: 'template', id: '' })
    try {
      const hello = untilHello(running)
      const uri = `exec:cat ${this.#path('state')}`
      await converse(
        running,
        restoring.map((step) => withUri(step, 'migrate-incoming', uri)),
      )
      return await hello
    } finally {
      await end(running)
    }
  }

  async #save(): Promise<void> {
    await writeFile(this.#path('memory'), '')
    await truncate(this.#path('memory'), this.#shape.memoryBytes)
    const running = this.#start({ kind: 'draft' })
    const uri = `exec:cat > ${this.#path('state')}`
    const talk = saving(undefined).filter((step) => !('execute' in step && step.execute === 'getfd'))
    await converse(
      running,
      talk.map((step) => withUri(step, 'migrate', uri)),
    )
    await end(running)
  }

  #start(origin: MachineSpec['origin']): Running {
    const [agent, control] = [this.#path(`agent-${++this.#count}`), this.#path(`control-${this.#count}`)]
    const memory = this.#path('memory')
    const words = argsOf({ ...this.#shape, origin }).map((word) =>
      word
        .replace('socket,id=agent,fd=3', `socket,id=agent,path=${agent}`)
        .replace('socket,id=control,fd=4', `socket,id=control,path=${control},server=on,wait=off`)
        .replace(/mem-path=[^,]*/, `mem-path=${memory}`)
        .replace('/proc/self/fd/5', this.#kernel)
        .replace('/proc/self/fd/6', this.#path('initramfs'))
        .replace(/^on,obsolete=deny.*$/, 'off'),
    )
    const started = performance.now()
    return { process: spawn(program, words, { stdio: ['ignore', 'ignore', 'inherit'] }), started, agent, control }
  }

  #path(name: string): string {
    return join(this.#folder, name)
  }
}

function withUri(step: Step, command: string, uri: string): Step {
  return 'execute' in step && step.execute === command ? { ...step, arguments: { uri } } : step
}

async function converse({ control }: Running, talk: readonly Step[]): Promise<void> {
  const socket = await reach(control)
  const qmp = new Qmp({
    tell: (data) => socket.write(data),
    hear: (listener) => socket.on('data', listener),
  })
  await qmp.greet()
  for (const step of talk) await qmp.perform(step)
}

async function untilHello({ agent, started }: Running): Promise<number> {
  const socket = await reach(agent)
  await once(socket, 'data')
  return performance.now() - started
}

/** As soon as QEMU listens. */
async function reach(path: string): Promise<Socket> {
  for (;;) {
    const socket = connect({ path })
    try {
      await once(socket, 'connect')
      socket.on('error', () => {})
      return socket
    } catch {
      await sleep(1)
    }
  }
}

async function end({ process }: Running): Promise<void> {
  const ended = once(process, 'exit')
  process.kill('SIGKILL')
  await ended
}
