// Every word of QEMU's command line, as text: a difference in review is a change of the machine or of its jail.
// CAISSON_WRITE_GOLDEN=1 writes the files.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { resolveLimits } from '../../proto/limits.js'
import { Qemu } from './qemu.js'
import { disksOf, guestMemory, mostMemory, shapeOf, shareOfMachine } from './shape.js'
import type { MachineSpec } from './vmm.js'

const folder = join(import.meta.dirname, '../../../test/golden/qemu-args')
const mib = 1 << 20
const spec: MachineSpec = {
  accelerator: 'kvm',
  cpus: 1,
  memoryBytes: 384 * mib,
  disks: 1,
  readyDiskBytes: 1 << 30,
  tscKhz: 2_100_000,
  acpi: true,
  console: false,
  origin: { kind: 'kernel' },
}

const cases: Record<string, MachineSpec> = {
  kvm: spec,
  'kvm-kernel-without-acpi': { ...spec, acpi: false },
  'kvm-four-processors-eight-layers': { ...spec, cpus: 4, memoryBytes: 4096 * mib, disks: 8 },
  emulated: { ...spec, accelerator: 'tcg' },
  'emulated-draft': { ...spec, accelerator: 'tcg', origin: { kind: 'draft' } },
  'emulated-from-template': { ...spec, accelerator: 'tcg', origin: { kind: 'template', id: '000007' } },
  'kvm-debug': { ...spec, console: true },
  'emulated-debug-draft': { ...spec, accelerator: 'tcg', console: true, origin: { kind: 'draft' } },
  'emulated-debug-from-template': { ...spec, accelerator: 'tcg', console: true, origin: { kind: 'template', id: '000007' } },
}

for (const [name, machine] of Object.entries(cases)) {
  test(`arguments: ${name}`, () => {
    const { boot } = new Qemu('/none').plan(machine)
    const text = `${lines(boot.args ?? []).join('\n')}\n`
    const file = join(folder, `${name}.txt`)
    if (process.env['CAISSON_WRITE_GOLDEN']) writeFileSync(file, text)
    assert.equal(text, readFileSync(file, 'utf8'))
    assert.ok((boot.memoryBytes ?? 0) > machine.memoryBytes)
  })
}

test('the launcher hears which memory a machine begins with', () => {
  const vmm = new Qemu('/none')
  assert.equal(vmm.plan({ ...spec, origin: { kind: 'draft' } }).boot.templateBytes, spec.memoryBytes)
  assert.equal(vmm.plan({ ...spec, origin: { kind: 'template', id: '000007' } }).boot.templateId, '000007')
})

test('a guest has room beside the limit of its program, in sizes of which there are few', () => {
  const limits = [4, 63, 64, 100, 200, 256, 512, 1000, 1024, 2048, 65_536].map((size) => size * mib)
  const sizes = limits.map(guestMemory)
  for (const [index, size] of sizes.entries()) {
    const limit = limits[index] ?? 0
    assert.ok(size - limit >= 96 * mib + limit / 64, `${limit}`)
    assert.ok(size < 1.25 * (limit * 1.04 + 128 * mib), `${limit}`)
    assert.equal(size % (32 * mib), 0)
  }
})

test('the launcher hears who has a console', () => {
  const vmm = new Qemu('/none')
  assert.equal(vmm.plan(spec).boot.console, false)
  assert.equal(vmm.plan({ ...spec, console: true }).boot.console, true)
})

test('the most memory of a run is what fits, and a byte more does not', () => {
  for (const accelerator of ['kvm', 'tcg'] as const) {
    const hypervisor = { vmm: new Qemu('/none'), accelerator, tscKhz: 0, acpi: false, console: false }
    const share = (memoryBytes: number) => shareOfMachine(resolveLimits({ memoryBytes }, {}), hypervisor).memoryBytes
    for (const bytes of [1024 * mib, 3500 * mib, 64 * 1024 * mib + 1]) {
      const most = mostMemory(bytes, hypervisor)
      assert.ok(most > bytes / 4 && share(most) <= bytes && share(most + 1) > bytes, `${accelerator} ${bytes}: ${most}`)
    }
    assert.equal(mostMemory(mib, hypervisor), 0)
  }
})

test('runs of nearly the same size are of one shape', () => {
  const limits = { cpuMillis: 1000, memoryBytes: 256 * mib, pids: 8, diskBytes: mib, cpuMs: 1, wallMs: 1 }
  assert.deepEqual(shapeOf(limits, 1), shapeOf({ ...limits, cpuMillis: 300, memoryBytes: 230 * mib }, 8))
  assert.equal(shapeOf(limits, 9).disks, 64)
})

test('a layer that an image has twice is one disk, at its topmost place', () => {
  const limits = { cpuMillis: 1000, memoryBytes: 256 * mib, pids: 8, diskBytes: mib, cpuMs: 1, wallMs: 1 }
  assert.deepEqual(disksOf(['a', 'b', 'a', 'c', 'b'], limits), { layerKeys: ['a', 'c', 'b'], diskBytes: mib })
})

/** An option and its value on one line. */
function lines(args: string[]): string[] {
  return args.join(' ').split(/ (?=-[a-zA-Z])/)
}
