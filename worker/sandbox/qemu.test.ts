// Every word of QEMU's command line, as text: a difference in review is a change of the machine or of its jail.
// CAISSON_WRITE_GOLDEN=1 writes the files.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { guestMemory } from './microvm.js'
import { Qemu } from './qemu.js'
import type { MachineSpec } from './vmm.js'

const folder = join(import.meta.dirname, '../../../test/golden/qemu-args')
const mib = 1 << 20
const key = (letter: string) => `sha256-${letter.repeat(64)}`
const spec: MachineSpec = {
  accelerator: 'kvm',
  cpus: 1,
  memoryBytes: 384 * mib,
  layerKeys: [key('a')],
  diskBytes: 1 << 30,
  tscKhz: 2_100_000,
  acpi: true,
}

const cases: Record<string, MachineSpec> = {
  'kvm-one-layer': spec,
  'kvm-four-processors-no-layers': { ...spec, cpus: 4, memoryBytes: 4096 * mib, layerKeys: [] },
  'kvm-kernel-without-acpi': { ...spec, acpi: false },
  'emulated-three-layers': { ...spec, accelerator: 'tcg', layerKeys: [key('a'), key('b'), key('c')] },
}

for (const [name, machine] of Object.entries(cases)) {
  test(`arguments: ${name}`, () => {
    const plan = new Qemu('/none').plan(machine)
    const text = `${lines(plan.args ?? []).join('\n')}\n`
    const file = join(folder, `${name}.txt`)
    if (process.env['CAISSON_WRITE_GOLDEN']) writeFileSync(file, text)
    assert.equal(text, readFileSync(file, 'utf8'))
    assert.deepEqual(plan.layers, machine.layerKeys)
    assert.ok((plan.memoryBytes ?? 0) > machine.memoryBytes)
  })
}

test('a guest has room beside the limit of its program, in steps', () => {
  for (const memory of [4 * mib, 256 * mib, 64 * 1024 * mib]) {
    const guest = guestMemory(memory)
    assert.ok(guest - memory >= 96 * mib + memory / 64)
    assert.equal(guest % (64 * mib), 0)
  }
})

/** An option and its value on one line. */
function lines(args: string[]): string[] {
  return args.join(' ').split(/ (?=-[a-zA-Z])/)
}
