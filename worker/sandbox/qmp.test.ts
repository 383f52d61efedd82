import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { attaching, restoring, saving } from './qemuTalk.js'
import { Qmp, type Wire } from './qmp.js'
import type { HandedFile, Step } from './vmm.js'

const folder = join(import.meta.dirname, '../../../test/golden/qmp')

/** QEMU's side of a conversation: says its lines up to the next one of ours, and holds us to that. A descriptor stands beside its line. */
class Scripted implements Wire {
  readonly script: string[]
  #listener: (data: Buffer) => void = () => {}

  constructor(script: string[]) {
    this.script = [...script]
  }

  tell(data: Buffer, file: HandedFile): void {
    const beside = Object.keys(file).length > 0 ? ` + ${JSON.stringify(file)}` : ''
    assert.equal(`> ${data.toString().trimEnd()}${beside}`, this.script.shift())
    this.#speak()
  }

  hear(listener: (data: Buffer) => void): void {
    this.#listener = listener
    setImmediate(() => this.#speak())
  }

  #speak(): void {
    while (this.script[0]?.startsWith('< ')) {
      const line = `${this.script.shift()?.slice(2)}\r\n`
      // A line need not come in one piece.
      for (let at = 0; at < line.length; at += 50) this.#listener(Buffer.from(line.slice(at, at + 50)))
    }
  }
}

async function converse(wire: Wire, talk: readonly Step[]): Promise<void> {
  const qmp = new Qmp(wire)
  await qmp.greet()
  for (const step of talk) await qmp.perform(step)
}

const layerKeys = ['a', 'b'].map((letter) => `sha256-${letter.repeat(64)}`)
const ready = { place: 9, bytes: 1 << 30 }
const conversations: Record<string, readonly Step[]> = {
  boot: [],
  save: saving(ready),
  restore: restoring,
  attach: attaching({ layerKeys, diskBytes: 1 << 30 }, ready),
  'attach-disk-of-another-size': attaching({ layerKeys, diskBytes: 1 << 29 }, ready),
  'attach-slow-disk': attaching({ layerKeys: [], diskBytes: 1 << 30, diskBytesPerSecond: 1 << 20 }, undefined),
}

for (const [name, talk] of Object.entries(conversations)) {
  test(`the conversation, word for word: ${name}`, async () => {
    const wire = new Scripted(
      readFileSync(join(folder, `${name}.txt`), 'utf8')
        .trimEnd()
        .split('\n'),
    )
    await converse(wire, talk)
    assert.deepEqual(wire.script, [])
  })
}

const greeting = '< {"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}}}'
const asked = '> {"execute":"qmp_capabilities"}'
const event = (data: object) => `< ${JSON.stringify({ event: 'MIGRATION', data })}`
const saved: Step = { event: 'MIGRATION', data: { status: 'completed' }, unless: { status: 'failed' } }

const refused: Record<string, [string[], RegExp]> = {
  'no greeting': [['< {"return": {}}'], /no greeting/],
  'a greeting of nothing': [['< {"QMP": null}', asked, '< {"return": {}}'], /without a version/],
  'a version of two lines': [
    [greeting.replace('}}}', '}, "package": "a\\nb"}}'), asked, '< {"return": {}}'],
    /without a version/,
  ],
  'not JSON': [['< hello'], /not a JSON object/],
  'an error': [[greeting, asked, '< {"error": {"class": "GenericError", "desc": "no"}}'], /qmp_capabilities: .*no/],
  'neither answer nor event': [[greeting, asked, '< {}'], /neither/],
  'what is waited for will not come': [
    [greeting, asked, '< {"return": {}}', event({ status: 'active' }), event({ status: 'failed' })],
    /MIGRATION: .*failed/,
  ],
  'a line without end': [[`< ${'x'.repeat(70_000)}`], /more than 65536 bytes/],
  'events without end': [[greeting, asked, ...Array.from({ length: 300 }, () => event({}))], /more than 256/],
}

for (const [name, [script, message]] of Object.entries(refused)) {
  test(`refused: ${name}`, () => assert.rejects(converse(new Scripted(script), [saved]), message))
}
