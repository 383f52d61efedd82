// Machines that begin from one template have nothing in common but what they began with, and none of them changes that.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readlink } from 'node:fs/promises'
import { test } from 'node:test'
import type { RunSpec } from '../../client/sdk/model.js'
import { finish, sh } from '../harness/finish.js'
import { Fixture } from '../harness/fixture.js'
import { busybox, python } from '../harness/images.js'
import { knownOffers } from '../harness/offers.js'

const runs = Number(process.env['CAISSON_TEMPLATE_RUNS'] ?? 12)
const atOnce = 4
const clockErrorMs = 10

const fixture = await Fixture.start({ args: ['--allow-emulation'] })
const { caisson, instance } = fixture
const offer = (await knownOffers(caisson)).find(({ backend }) => backend === 'microvm')
const skip = offer?.unavailable ? `no microVM here: ${offer.unavailable}` : false

const spec = (over: Partial<RunSpec>): RunSpec => ({ image: busybox, isolation: 'MICROVM_REQUIRED', ...over })
const perform = async (script: string) => {
  const { verdict, stdout } = await finish(caisson.run(spec({ args: sh(script) })))
  assert.equal(verdict.outcome, 'EXITED', JSON.stringify(verdict))
  return stdout.toString().trim()
}

/** What the launcher keeps of machines that it saved, by the path that leads there. */
async function templates(): Promise<Map<string, string>> {
  const folder = `/proc/${await instance.pid('launcher')}/fd`
  const kept = new Map<string, string>()
  for (const fd of await readdir(folder)) {
    const target = await readlink(`${folder}/${fd}`).catch(() => '')
    if (target.startsWith('/memfd:template-')) kept.set(`${folder}/${fd}`, await hashOf(`${folder}/${fd}`))
  }
  return kept
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk)
  return hash.digest('hex')
}

test('no two machines share random numbers, ids or files, and the template stays as it was', {
  skip,
  timeout: 600_000,
}, async () => {
  await perform('true')
  const before = await templates()
  assert.ok([...before.keys()].length >= 2, 'memory and state of a template')
  const script = `
    test -e /mark && echo "another's file is here"; echo mine > /mark; sync
    dd if=/dev/urandom of=/dev/shm/noise bs=1M count=8 2> /dev/null
    head -c 16 /dev/urandom | od -A n -t x1 | tr -d ' \\n'; echo
    cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id; hostname`
  const said: string[] = []
  for (let done = 0; done < runs; done += atOnce)
    said.push(...(await Promise.all(Array.from({ length: atOnce }, () => perform(script)))))
  for (const lines of said.map((text) => text.split('\n'))) assert.equal(lines.length, 4, lines.join('; '))
  const words = said.flatMap((text) => text.split('\n'))
  assert.equal(new Set(words).size, words.length)
  const after = await templates()
  for (const [path, hash] of before) assert.equal(after.get(path), hash, path)
})

test('the clock of a machine is right, however long its template waited', { skip, timeout: 300_000 }, async () => {
  const code = "import sys, time\nfor line in sys.stdin: sys.stdout.write(f'{time.time()}\\n')"
  const { runId } = await caisson.submit(spec({ image: python, args: ['-u', '-c', code], stdin: 'attach' }))
  const input = caisson.attach(runId)
  let asked = Date.now()
  const errors: number[] = []
  await input.write(Buffer.from('\n'))
  for await (const event of caisson.watch(runId)) {
    if (event.type === 'verdict') assert.equal(event.verdict.exitCode, 0)
    if (event.type !== 'output') continue
    const [heard, told] = [Date.now(), Number(event.data.toString()) * 1000]
    // It was told between the question and the answer.
    errors.push(Math.max(asked - told, told - heard, 0))
    if (errors.length === 5) await input.end()
    asked = Date.now()
    if (errors.length < 5) await input.write(Buffer.from('\n'))
  }
  assert.equal(errors.length, 5)
  assert.ok(Math.max(...errors) <= clockErrorMs, `off by ${errors.join(', ')} ms`)
})
