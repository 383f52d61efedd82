import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { shakeHands } from './qmp.js'

const golden = join(import.meta.dirname, '../../../test/golden/qmp/boot.txt')
const never = new AbortController().signal

/** QEMU's side of a conversation: says its lines up to the next one of ours, and holds us to that. */
class Scripted extends Duplex {
  readonly heard: string[] = []
  readonly #script: string[]

  constructor(script: string[]) {
    super()
    this.#script = script
    this.#speak()
  }

  override _read(): void {}

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.heard.push(chunk.toString())
    assert.equal(`> ${chunk.toString().trimEnd()}`, this.#script.shift())
    this.#speak()
    done()
  }

  #speak(): void {
    while (this.#script[0]?.startsWith('< ')) {
      const line = `${this.#script.shift()?.slice(2)}\r\n`
      // A line need not come in one piece.
      for (let at = 0; at < line.length; at += 50) this.push(line.slice(at, at + 50))
    }
    if (this.#script.length === 0) this.push(null)
  }
}

test('the conversation at boot, word for word', async () => {
  const script = readFileSync(golden, 'utf8').trimEnd().split('\n')
  const qemu = new Scripted(script)
  await shakeHands(qemu, never)
  assert.equal(qemu.heard.length, 2)
})

const greeting = '< {"QMP": {}}'
const refused: Record<string, [string[], RegExp]> = {
  'no greeting': [['< {"return": {}}'], /no greeting/],
  'not JSON': [['< hello'], /not a JSON object/],
  'an error': [
    [greeting, '> {"execute":"qmp_capabilities"}', '< {"error": {"class": "GenericError", "desc": "no"}}'],
    /qmp_capabilities: .*no/,
  ],
  'a machine that waits': [
    [
      greeting,
      '> {"execute":"qmp_capabilities"}',
      '< {"return": {}}',
      '> {"execute":"query-status"}',
      '< {"return": {"running": false}}',
    ],
    /does not run/,
  ],
  'a closed socket': [[greeting, '> {"execute":"qmp_capabilities"}'], /closed/],
  'a line without end': [[`< ${'x'.repeat(70_000)}`], /more than 65536 bytes/],
}

for (const [name, [script, message]] of Object.entries(refused)) {
  test(`refused: ${name}`, () => assert.rejects(shakeHands(new Scripted([...script]), never), message))
}
