// What goes in and comes out, byte for byte.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { sh } from '../harness/finish.js'
import { slowness } from '../harness/slowness.js'
import { type Case, exited, expectVerdict, says } from './case.js'

const mebibyte = 1 << 20
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex')

/** Long enough to outrun every buffer on the way; the soak sends 1 GiB. */
const inputBytes = Number(process.env['CAISSON_TEST_INPUT_MIB'] ?? 256) * mebibyte

export const streams: Case[] = [
  {
    name: 'binary output arrives byte for byte',
    spec: {
      args: sh('dd if=/dev/urandom of=/tmp/x bs=1M count=12 2>/dev/null; sha256sum < /tmp/x >&2; cat /tmp/x'),
      limits: { outputBytes: 32 * mebibyte },
    },
    expect: (finished) => {
      exited(finished)
      assert.equal(finished.stdout.length, 12 * mebibyte)
      assert.equal(finished.stderr.toString().slice(0, 64), sha256(finished.stdout))
    },
  },
  {
    name: 'lines of 10 MiB, NUL bytes in between',
    spec: {
      args: sh('for i in 1 2; do head -c 10485760 /dev/zero | tr "\\000" a; printf "\\n\\000\\000"; done'),
      limits: { outputBytes: 32 * mebibyte },
    },
    expect: (finished) => {
      exited(finished)
      const line = Buffer.concat([Buffer.alloc(10 * mebibyte, 'a'), Buffer.from('\n\0\0')])
      assert.ok(finished.stdout.equals(Buffer.concat([line, line])))
    },
  },
  {
    name: 'stdout and stderr keep their order, each and in time',
    spec: { args: sh('for i in 1 2 3 4 5; do echo out$i; sleep 0.05; echo err$i >&2; sleep 0.05; done') },
    expect: (finished) => {
      exited(finished)
      const heard = finished.events.flatMap((event) => (event.type === 'output' ? [event.data.toString().trim()] : []))
      assert.deepEqual(
        heard,
        [1, 2, 3, 4, 5].flatMap((i) => [`out${i}`, `err${i}`]),
      )
    },
  },
  {
    name: 'many small writes to both streams, none lost',
    spec: { args: sh('i=0; while [ $i -lt 2000 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done') },
    expect: (finished) => {
      exited(finished)
      const numbered = (mark: string) => Array.from({ length: 2000 }, (_, i) => `${mark}${i}\n`).join('')
      assert.equal(finished.stdout.toString(), numbered('o'))
      assert.equal(finished.stderr.toString(), numbered('e'))
    },
  },
  {
    name: 'what a killed program had written before is there',
    spec: { args: sh('echo before; echo err >&2; kill -KILL $$') },
    expect: (finished) => {
      expectVerdict(finished, { outcome: 'SIGNALED', signal: 9 })
      assert.equal(finished.stdout.toString(), 'before\n')
      assert.equal(finished.stderr.toString(), 'err\n')
    },
  },
  { name: 'without input the program reads end of file', spec: { args: sh('wc -c') }, expect: says('0') },
  {
    name: 'inline input, NUL bytes and all',
    spec: { args: ['sha256sum'], stdin: Buffer.from('a\0b\n\xff', 'latin1') },
    expect: says(`${sha256(Buffer.from('a\0b\n\xff', 'latin1'))}  -`),
  },
  {
    name: 'inline input of 1 MiB',
    spec: { args: ['wc', '-c'], stdin: Buffer.alloc(mebibyte, 'x') },
    expect: says(String(mebibyte)),
  },
  {
    name: 'a long input by Attach, piped to sha256sum',
    spec: { args: ['sha256sum'], stdin: 'attach', limits: { wallMs: 600_000 * slowness, cpuMs: 600_000 * slowness } },
    input: async (input) => {
      const chunk = pattern()
      for (let sent = 0; sent < inputBytes; sent += chunk.length) await input.write(chunk)
      await input.end()
    },
    expect: (finished) => {
      const hash = createHash('sha256')
      for (let sent = 0; sent < inputBytes; sent += mebibyte) hash.update(pattern())
      says(`${hash.digest('hex')}  -`)(finished)
    },
  },
  {
    name: 'a program that ends before its input does',
    spec: { args: ['head', '-c', '5'], stdin: 'attach' },
    input: async (input) => {
      // The run may be over before the input is: that the service says so is right.
      await input.write(Buffer.from('hello world')).catch(() => {})
      await input.end().catch(() => {})
    },
    expect: says('hello'),
  },
  {
    name: 'a program that closes its streams and goes on',
    spec: { args: sh('echo last; exec >&- 2>&-; sleep 0.2; exit 3') },
    expect: (finished) => {
      exited(finished, 3)
      assert.equal(finished.stdout.toString(), 'last\n')
    },
  },
]

function pattern(): Buffer {
  return Buffer.from(Uint32Array.from({ length: mebibyte / 4 }, (_, i) => Math.imul(i, 2654435761)).buffer)
}
